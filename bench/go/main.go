// Go, as the others are measured; a file for each kind of measurement. Sizes are numbers.
//
//	bench_go yield N TURNS | one_by_one N | burst N | handover PAIRS ROUNDS | memory N |
//	         sleeps N MOST_US | skynet LEAVES | tasks N ITERATIONS | primitives N | crowd N MS | echo
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

type moment struct {
	wall time.Time
	cpu  time.Duration
}

func usage() syscall.Rusage {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage
}

func now() moment {
	u := usage()
	return moment{time.Now(), time.Duration(u.Utime.Nano() + u.Stime.Nano())}
}

// ns and ns of CPU time for each of the operations since begin.
func tell(name string, begin moment, operations int) {
	end := now()
	fmt.Printf("%s %.2f %.2f\n", name, float64(end.wall.Sub(begin.wall))/float64(operations),
		float64(end.cpu-begin.cpu)/float64(operations))
}

// Seconds, seconds of CPU time, and the most memory that the process has had, in MB.
func tellWhole(name string, begin moment) {
	end := now()
	fmt.Printf("%s %.4f %.4f %.2f\n", name, end.wall.Sub(begin.wall).Seconds(),
		(end.cpu - begin.cpu).Seconds(), float64(usage().Maxrss)/1024)
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "bench_go:", why)
	os.Exit(1)
}

// randomBelow is the generator of figures.h.
func randomBelow(seed uint64, most uint64) uint64 {
	return ((seed*6364136223846793005 + 1442695040888963407) >> 33) % most
}

func main() {
	known := map[string]func(n []int){
		"yield": measureYield, "one_by_one": measureOneByOne, "burst": measureBurst,
		"handover": measureHandover, "memory": measureMemory, "sleeps": measureSleeps,
		"skynet": measureSkynet, "tasks": measureTasks, "primitives": measurePrimitives,
		"echo": serveEcho, "crowd": measureBesideCrowd,
	}
	if len(os.Args) < 2 || known[os.Args[1]] == nil {
		fail("knows no such measurement")
	}
	var numbers []int
	for _, text := range os.Args[2:] {
		number, err := strconv.Atoi(text)
		if err != nil || number <= 0 {
			fail(text + " is not a count")
		}
		numbers = append(numbers, number)
	}
	known[os.Args[1]](numbers)
}
