package main

import "sync"

func oneByOne(count int) {
	done := make(chan struct{})
	for i := 0; i < count; i++ {
		go func() { done <- struct{}{} }()
		<-done
	}
}

func measureOneByOne(n []int) {
	oneByOne(n[0]/10 + 1)
	begin := now()
	oneByOne(n[0])
	tell("spawn", begin, n[0])
}

// Its first round is cold, the second finds what the first left.
func measureBurst(n []int) {
	for _, name := range []string{"cold", "warm"} {
		var all sync.WaitGroup
		begin := now()
		all.Add(n[0])
		for i := 0; i < n[0]; i++ {
			go all.Done()
		}
		all.Wait()
		tell(name, begin, n[0])
	}
}
