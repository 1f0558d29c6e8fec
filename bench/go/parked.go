package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Resident memory and page tables of the process, in bytes.
func memoryNow() (resident, tables float64) {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		fail(err.Error())
	}
	defer status.Close()
	lines := bufio.NewScanner(status)
	for lines.Scan() {
		var kb float64
		if _, err := fmt.Sscanf(lines.Text(), "VmRSS: %f", &kb); err == nil {
			resident = kb * 1024
		}
		if _, err := fmt.Sscanf(lines.Text(), "VmPTE: %f", &kb); err == nil {
			tables = kb * 1024
		}
	}
	return
}

// Of `count` that waited: bytes of memory and of page tables for each, ns to start it and ns to
// wake and end it.
func park(count int) [4]float64 {
	var arrived int64
	var all sync.WaitGroup
	gate := make(chan struct{})
	resident, tables := memoryNow()
	begin := now()
	for i := 0; i < count; i++ {
		all.Add(1)
		go func() {
			atomic.AddInt64(&arrived, 1)
			<-gate
			all.Done()
		}()
	}
	for atomic.LoadInt64(&arrived) < int64(count) {
		runtime.Gosched()
	}
	parked := now()
	residentParked, tablesParked := memoryNow()
	close(gate)
	all.Wait()
	ended := now()
	each := 1 / float64(count)
	return [4]float64{(residentParked - resident) * each, (tablesParked - tables) * each,
		float64(parked.wall.Sub(begin.wall)) * each, float64(ended.wall.Sub(parked.wall)) * each}
}

func measureMemory(n []int) {
	park(1)
	is := park(n[0])
	fmt.Printf("parked %.1f %.1f %.1f %.1f\n", is[0], is[1], is[2], is[3])
}

func measureSleeps(n []int) {
	var all sync.WaitGroup
	begin := now()
	all.Add(n[0])
	for i := 0; i < n[0]; i++ {
		go func(seed int) {
			time.Sleep(time.Duration(randomBelow(uint64(seed), uint64(n[1]))) * time.Microsecond)
			all.Done()
		}(i + 1)
	}
	all.Wait()
	tellWhole("sleeps", begin)
}
