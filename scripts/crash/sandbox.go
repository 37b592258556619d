package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"ostatok/agent/stock"
)

// sandbox is a running ostatok-sandbox.
type sandbox struct {
	URL   string `json:"url"`
	Store string `json:"store"`
	Token string `json:"token"`

	command *exec.Cmd
}

// startSandbox starts the binary and waits until it serves.
func startSandbox(ctx context.Context, bin, dir string, args ...string) (*sandbox, error) {
	log, err := os.Create(filepath.Join(dir, "sandbox.log"))
	if err != nil {
		return nil, fmt.Errorf("cannot start the sandbox: %w", err)
	}
	defer log.Close() // the process has its own descriptor
	ready := filepath.Join(dir, "ready.json")
	s := &sandbox{command: exec.CommandContext(ctx, filepath.Join(bin, "ostatok-sandbox"), append(args, "--admin", "--ready", ready)...)}
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the sandbox: %w; `make build` makes it", err)
	}
	const patience, step = 2 * time.Minute, 20 * time.Millisecond
	for waited := time.Duration(0); waited < patience; waited += step {
		if text, err := os.ReadFile(ready); err == nil {
			if err := json.Unmarshal(text, s); err != nil {
				s.stop()
				return nil, fmt.Errorf("cannot read %s: %w", ready, err)
			}
			return s, nil
		}
		if err := sleep(ctx, step); err != nil {
			break
		}
	}
	s.stop()
	return nil, fmt.Errorf("the sandbox did not start, see %s", log.Name())
}

func (s *sandbox) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = s.command.Wait()                          // how it ends says nothing of the agent
}

// ask posts to one of the sandbox's own doors, or gets when body is nil.
func (s *sandbox) ask(ctx context.Context, path string, body, answer any) error {
	method, text := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("cannot ask the sandbox: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("cannot ask the sandbox: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("cannot ask the sandbox: %w", err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return fmt.Errorf("cannot ask the sandbox: %w", err)
	case response.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("the sandbox refuses %s %s: %s", path, text, said)
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(said, answer); err != nil {
		return fmt.Errorf("cannot read the sandbox's answer: %w", err)
	}
	return nil
}

type form map[string]any

// faults sets what goes wrong, by rate; nil is nothing.
func (s *sandbox) faults(ctx context.Context, rates map[string]float64) error {
	if rates == nil {
		rates = map[string]float64{}
	}
	return s.ask(ctx, "/sandbox/faults", form{"profile": rates}, nil)
}

// badCard spoils one product of the next catalogue page.
func (s *sandbox) badCard(ctx context.Context) error {
	return s.ask(ctx, "/sandbox/faults", form{"path": "/products", "fault": "bad_item", "times": 1}, nil)
}

func (s *sandbox) speed(ctx context.Context, n float64) error {
	return s.ask(ctx, "/sandbox/speed", form{"speed": n}, nil)
}

func (s *sandbox) advance(ctx context.Context, by time.Duration) error {
	return s.ask(ctx, "/sandbox/advance", form{"by": by.String()}, nil)
}

// truth is what the sandbox knows of a product.
type truth struct {
	Product string           `json:"product_id"`
	Told    *stock.Quantity  `json:"told"`
	Cloud   stock.Quantity   `json:"cloud"`
	Patched []stock.Quantity `json:"patched"`
}

func (s *sandbox) truth(ctx context.Context) (at time.Time, products map[string]truth, err error) {
	var answer struct {
		At       time.Time
		Products []truth
	}
	if err := s.ask(ctx, "/sandbox/truth", nil, &answer); err != nil {
		return time.Time{}, nil, err
	}
	products = make(map[string]truth, len(answer.Products))
	for _, p := range answer.Products {
		products[p.Product] = p
	}
	return answer.At, products, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
