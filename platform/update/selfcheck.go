package update

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Exec runs PROGRAM selfcheck --data DIR and Args, which prints a Report as JSON
// to stdout and ends with 0.
type Exec struct {
	Args    []string
	Env     []string      // of the program; nil for none
	Timeout time.Duration // 2 min by default; a program that hangs has failed
}

// Check implements Checker.
func (e Exec) Check(ctx context.Context, program, data string) (report Report, err error) {
	timeout := e.Timeout
	if timeout <= 0 {
		timeout = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it did not end within %s", timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"selfcheck", "--data", data}, e.Args...)...)
	cmd.Env = append([]string{"GOTRACEBACK=single"}, e.Env...)
	cmd.WaitDelay = time.Second // for children that keep the output open
	out, said := &tail{most: 64 << 10}, &tail{most: 2 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	if err := cmd.Run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if text := strings.TrimSpace(said.String()); text != "" {
			return report, fmt.Errorf("%w: %s", err, text)
		}
		return report, err
	}
	if err := json.Unmarshal(bytes.TrimSpace(out.Bytes()), &report); err != nil {
		return report, errors.New("it does not answer as a release of this product does")
	}
	return report, nil
}

// tail keeps the last bytes of what a program prints.
type tail struct {
	bytes.Buffer
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	n, _ := t.Buffer.Write(p)
	if over := t.Len() - t.most; over > 0 {
		t.Next(over)
	}
	return n, nil
}
