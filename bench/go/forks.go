package main

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func addUp(result chan int, first, leaves int) {
	if leaves == 1 {
		result <- first
		return
	}
	sums := make(chan int)
	for i := 0; i < 10; i++ {
		go addUp(sums, first+i*(leaves/10), leaves/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-sums
	}
	result <- sum
}

// A tree in which each goroutine starts ten and adds up their numbers.
func measureSkynet(n []int) {
	begin := now()
	result := make(chan int)
	go addUp(result, 0, n[0])
	sum := <-result
	tellWhole("skynet", begin)
	if sum != n[0]*(n[0]-1)/2 {
		fail("the sum is wrong")
	}
}

func compute(rounds int) uint64 {
	x := uint64(88172645463325252)
	for i := 0; i < rounds; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// One goroutine starts N that compute for so many microseconds each, and waits for them.
func measureTasks(n []int) {
	const probe = 1000000
	before := usage()
	results := compute(probe)
	after := usage()
	each := float64(syscall.TimevalToNsec(after.Utime)-syscall.TimevalToNsec(before.Utime)) / probe
	iterations := int(float64(time.Duration(n[1])*time.Microsecond)/each) + 1
	var all sync.WaitGroup
	begin := now()
	all.Add(n[0])
	for i := 0; i < n[0]; i++ {
		go func() {
			atomic.AddUint64(&results, compute(iterations))
			all.Done()
		}()
	}
	all.Wait()
	tellWhole("tasks", begin)
}
