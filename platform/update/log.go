package update

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
)

const (
	logs     = "logs"
	keptLogs = 3
	mostLog  = 1 << 20 // bytes of one version's trial
)

func logFile(root, version string) string { return filepath.Join(root, logs, version+".log") }

// trialLog is the copy of a log that outlives a failed version.
type trialLog struct {
	mu   sync.Mutex
	file *os.File
	left int64
}

// openLog appends to the log of a version: its trial may take several starts.
// Without room for a log the trial goes on.
func openLog(name string) *trialLog {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil
	}
	l := &trialLog{file: f, left: mostLog}
	if info, err := f.Stat(); err == nil {
		l.left -= info.Size()
	}
	// The runtime writes the last words of a crash here too.
	_ = debug.SetCrashOutput(f, debug.CrashOptions{})
	return l
}

func (l *trialLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.left >= int64(len(p)) {
		n, _ := l.file.Write(p)
		l.left -= int64(n)
	}
	return len(p), nil
}

// end closes the log of a version that proved itself.
func (l *trialLog) end() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
	_ = l.file.Close()
	l.file = nil
}
