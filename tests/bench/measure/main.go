// Command measure stands in a unit's charm for its dispatch, runs that, and writes down what it cost
// by itself: without the hook tools that it calls, and without this program.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A cost is a line of the file that is written.
type cost struct {
	Event string        `json:"event"`
	CPU   time.Duration `json:"cpu"`
	Wall  time.Duration `json:"wall"`
	Peak  int           `json:"peak"` // KiB
}

// sampling is how often the peak is read. The kernel remembers it, but only as long as the process
// has memory.
const sampling = time.Millisecond

func main() {
	code, err := run(filepath.Join(os.Getenv("JUJU_CHARM_DIR"), "measured"), "/var/lib/hook-costs")
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(program, file string) (int, error) {
	cmd := exec.Command(program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	stop, peak := make(chan struct{}), make(chan int)
	go func() { peak <- watch(cmd.Process.Pid, stop) }()

	// The process stays a zombie, whose clock can still be read.
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return 0, fmt.Errorf("cannot wait for %s: %w", program, err)
	}
	c := cost{Event: os.Getenv("JUJU_DISPATCH_PATH"), Wall: time.Since(begin)}
	var spent unix.Timespec
	if err := unix.ClockGettime(clockOf(cmd.Process.Pid), &spent); err != nil {
		return 0, fmt.Errorf("cannot read processor time of %s: %w", program, err)
	}
	c.CPU = time.Duration(spent.Nano())
	close(stop)
	c.Peak = <-peak
	_ = cmd.Wait() // its exit code says it all
	return cmd.ProcessState.ExitCode(), write(file, c)
}

// clockOf is the clock of all threads that a process has or had, without its children, as
// clock_getcpuclockid(3) makes it.
func clockOf(pid int) int32 {
	const schedule = 2 // CPUCLOCK_SCHED: the scheduler's own count, in nanoseconds
	return int32(^pid<<3 | schedule)
}

// watch returns the most memory that a process has had, in KiB.
func watch(pid int, stop <-chan struct{}) int {
	peak := 0
	for {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err == nil {
			peak = max(peak, highWater(status))
		}
		select {
		case <-stop:
			return peak
		case <-time.After(sampling):
		}
	}
}

func highWater(status []byte) int {
	for line := range bytes.Lines(status) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			kib, _ := strconv.Atoi(string(fields[1])) // the kernel writes a number
			return kib
		}
	}
	return 0
}

func write(name string, c cost) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}
