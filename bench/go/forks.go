package main

import (
	"sync"
	"sync/atomic"
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

// A chain of dependent steps, the same as in plain/forks.c.
func compute(iterations int) uint64 {
	x := uint64(88172645463325252)
	for i := 0; i < iterations; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// One goroutine starts N that each compute so many steps, and waits for them.
func measureTasks(n []int) {
	var right int64
	expected := compute(n[1])
	var all sync.WaitGroup
	begin := now()
	all.Add(n[0])
	for i := 0; i < n[0]; i++ {
		go func() {
			if compute(n[1]) == expected {
				atomic.AddInt64(&right, 1)
			}
			all.Done()
		}()
	}
	all.Wait()
	tellWhole("tasks", begin)
	if right != int64(n[0]) {
		fail("not every task has computed")
	}
}
