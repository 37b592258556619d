package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// measured is what came out.
type measured struct {
	first, again, half time.Duration
	peak               int   // shops ready within one second after the restart
	agent, broker      int64 // bytes for each shop
	trips              []time.Duration
}

// most is how long a fleet may take until all are back after the broker's restart.
const most = 5 * time.Minute

func report(o options, m measured) error {
	percentile := func(p int) time.Duration { return m.trips[(len(m.trips)-1)*p/100] }
	fmt.Printf("%d agents in one process, mosquitto beside them\n\n| what | measured |\n|---|---|\n", o.agents)
	for _, row := range [][2]string{
		{"all ready at the first start", m.first.Round(10 * time.Millisecond).String()},
		{"half ready after the broker's restart", m.half.Round(10 * time.Millisecond).String()},
		{"all ready after the broker's restart", m.again.Round(10 * time.Millisecond).String()},
		{"most that came back within one second", strconv.Itoa(m.peak)},
		{"memory of an agent's MQTT side, its work on its journal included", fmt.Sprintf("%d kB", m.agent>>10)},
		{"memory in the broker for a shop", fmt.Sprintf("%.1f kB", float64(m.broker)/1024)},
		{"a command's round trip, median", percentile(50).Round(10 * time.Microsecond).String()},
		{"a command's round trip, p99", percentile(99).Round(10 * time.Microsecond).String()},
	} {
		fmt.Printf("| %s | %s |\n", row[0], row[1])
	}
	if m.again > most {
		return fmt.Errorf("it took %v until all were back, more than %v", m.again, most)
	}
	return nil
}

// ownMemory is what this process holds, after what it can do without is given back.
func ownMemory() int64 {
	debug.FreeOSMemory()
	return memory(os.Getpid())
}

// memory is the resident memory of a process in bytes, 0 where it cannot be known.
func memory(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64) // the kernel writes a number
			return n << 10
		}
	}
	return 0
}
