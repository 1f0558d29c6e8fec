package main

import (
	"runtime"
	"sync"
)

// In the order of the comparisons, each N times.
func measurePrimitives(n []int) {
	runtime.GOMAXPROCS(1)
	count := n[0]
	measureMutex(count)
	measureContended(count)
	measureCondition(count)
	measureSemaphore(count)
	measureChannel("channel", 0, count)
	measureChannel("buffered", 128, count)
	measureSelect(count)
	measureFuture(count)
	measurePool(count)
}

func measureMutex(count int) {
	var mutex sync.Mutex
	begin := now()
	for i := 0; i < count; i++ {
		mutex.Lock()
		mutex.Unlock()
	}
	tell("mutex", begin, count)
}

// Four hold it by turns, each while the others have a turn.
func measureContended(count int) {
	var mutex sync.Mutex
	var all sync.WaitGroup
	begin := now()
	for i := 0; i < 4; i++ {
		all.Add(1)
		go func() {
			for i := 0; i < count/4; i++ {
				mutex.Lock()
				runtime.Gosched()
				mutex.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
	tell("contended", begin, count/4*4)
}

func measureCondition(count int) {
	var mutex sync.Mutex
	passed := sync.NewCond(&mutex)
	holder := 0
	var all sync.WaitGroup
	take := func(self int) {
		mutex.Lock()
		for i := 0; i < count/2; i++ {
			for holder != self {
				passed.Wait()
			}
			holder = 1 - self
			passed.Signal()
		}
		mutex.Unlock()
		all.Done()
	}
	all.Add(2)
	begin := now()
	go take(0)
	go take(1)
	all.Wait()
	tell("condition", begin, count/2*2)
}

// A channel with room is what Go programs use as one.
func measureSemaphore(count int) {
	units := make(chan struct{}, 1)
	begin := now()
	for i := 0; i < count; i++ {
		units <- struct{}{}
		<-units
	}
	tell("semaphore", begin, count)
}

func measureChannel(name string, capacity, count int) {
	numbers := make(chan int, capacity)
	begin := now()
	go func() {
		for i := 0; i < count; i++ {
			numbers <- i
		}
		close(numbers)
	}()
	got := 0
	for range numbers {
		got++
	}
	tell(name, begin, count)
	if got != count {
		fail("elements are missing")
	}
}

func measureSelect(count int) {
	even, odd := make(chan int), make(chan int)
	begin := now()
	go func() {
		for i := 0; i < count/2; i++ {
			even <- i
			odd <- i
		}
	}()
	for i := 0; i < count/2*2; i++ {
		select {
		case <-even:
		case <-odd:
		}
	}
	tell("select", begin, count/2*2)
}

// Each is made by one goroutine, fulfilled by another one, and waited for.
func measureFuture(count int) {
	promises := make(chan chan int)
	go func() {
		for promise := range promises {
			promise <- 1
		}
	}()
	begin := now()
	for i := 0; i < count; i++ {
		promise := make(chan int, 1)
		promises <- promise
		<-promise
	}
	tell("future", begin, count)
	close(promises)
}

// Ten places.
func measurePool(count int) {
	places := make(chan struct{}, 10)
	var all sync.WaitGroup
	begin := now()
	for i := 0; i < count; i++ {
		places <- struct{}{}
		all.Add(1)
		go func() {
			<-places
			all.Done()
		}()
	}
	all.Wait()
	tell("pool", begin, count)
}
