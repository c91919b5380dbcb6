package testprocess

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestAProcessIsKilledAlsoWhileItIsStopped(t *testing.T) {
	p, err := Run(exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	p.Kill()
	if p.Code() != -1 || p.Err() == nil {
		t.Errorf("code %d, %v", p.Code(), p.Err())
	}
	if err := p.Signal(syscall.SIGCONT); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal to nobody: %v", err)
	}
}

func TestOutputAndEnvironment(t *testing.T) {
	t.Setenv("FOOTFALL_X", "hidden")
	var out Output
	cmd := exec.Command("sh", "-c", "echo $FOOTFALL_X$OTHER; exit 3")
	cmd.Stdout, cmd.Env = &out, Environment([]string{"FOOTFALL_"}, "OTHER=seen")
	p, err := Run(cmd)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if p.Code() != 3 || string(out.All()) != "seen\n" || out.Tail(2) != "n\n" {
		t.Errorf("code %d, printed %q", p.Code(), out.All())
	}
	if _, err := Run(exec.Command("/does/not/exist")); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("got %v", err)
	}
}

func TestFreePortsAreFreeAndDiffer(t *testing.T) {
	seen := map[int]bool{}
	for _, port := range FreePorts(t, 50) {
		if seen[port] {
			t.Errorf("%d comes twice", port)
		}
		seen[port] = true
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
}
