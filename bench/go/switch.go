package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

// N goroutines take turns by Gosched, the main one among them. On one CPU, so no atomics.
func measureYield(n []int) {
	turns, wanted, last, arrived := 0, 1<<62, 0, 0
	takeTurns := func(self int) {
		for turns < wanted {
			if last != self {
				last = self
				turns++
			}
			runtime.Gosched()
		}
	}
	runtime.GOMAXPROCS(1)
	var all sync.WaitGroup
	for i := 1; i < n[0]; i++ {
		all.Add(1)
		go func(self int) {
			arrived++
			takeTurns(self)
			all.Done()
		}(i)
	}
	for arrived < n[0]-1 {
		runtime.Gosched()
	}
	before := turns
	begin := now()
	wanted = before + n[1]
	takeTurns(0)
	tell("switch", begin, turns-before)
	all.Wait()
}

// The goroutines of each pair wake each other by channels, in turn.
func measureHandover(n []int) {
	pairs, rounds := n[0], n[1]
	var all sync.WaitGroup
	begin := now()
	for i := 0; i < pairs; i++ {
		ping, pong := make(chan struct{}), make(chan struct{})
		all.Add(2)
		go func() {
			for i := 0; i < rounds; i++ {
				ping <- struct{}{}
				<-pong
			}
			all.Done()
		}()
		go func() {
			for i := 0; i < rounds; i++ {
				<-ping
				pong <- struct{}{}
			}
			all.Done()
		}()
	}
	all.Wait()
	tell("handover", begin, 2*rounds*pairs)
}

// One such pair, beside so many goroutines that always call Gosched. On one CPU, so no atomics.
func measureBesideCrowd(n []int) {
	runtime.GOMAXPROCS(1)
	stop, turns, rounds, started := false, 0, 0, 0
	var all sync.WaitGroup
	all.Add(n[0] + 2)
	for i := 0; i < n[0]; i++ {
		go func() {
			started++
			for !stop {
				turns++
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	for started < n[0] {
		runtime.Gosched()
	}
	ping, pong := make(chan bool), make(chan struct{})
	turns = 0
	begin := now()
	go func() {
		for <-ping {
			pong <- struct{}{}
		}
		all.Done()
	}()
	go func() {
		for ; !stop; rounds++ {
			ping <- true
			<-pong
		}
		ping <- false
		all.Done()
	}()
	time.Sleep(time.Duration(n[1]) * time.Millisecond)
	stop = true
	cpu := float64(now().cpu - begin.cpu)
	all.Wait()
	fmt.Printf("crowd %.1f %.1f\n", cpu/float64(2*rounds), cpu/float64(turns))
}
