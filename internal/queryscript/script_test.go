package queryscript

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// run executes a script. Every ask is given to check with its answer; an error
// names file and line.
func run(file, text string, careful bool, check func(s *step, got [][]string)) error {
	steps, err := parse(file, text)
	if err != nil {
		return err
	}
	var w *world
	for _, s := range steps {
		fail := func(number int, err error) error {
			if err == nil {
				return nil
			}
			return fmt.Errorf("%s:%d: %w", file, number, err)
		}
		if s.verb == "site" {
			if w, err = newWorld(s.text, careful); err != nil {
				return fail(s.line, err)
			}
			continue
		}
		if w == nil {
			return fail(s.line, fmt.Errorf("%s before site: a script begins with its site", s.verb))
		}
		switch s.verb {
		case "goal":
			err = w.goal(s.text)
		case "segment":
			err = w.segment(s.text)
		case "now":
			err = w.setNow(s.text)
		case "with":
			w.with, err = object(s.text)
		case "flush":
			w.flush()
		case "restart":
			err = w.restart()
		case "load":
			for _, l := range s.body {
				if err := fail(l.number, w.load(l.text)); err != nil {
					return err
				}
			}
		case "ask":
			var got [][]string
			if got, err = w.ask(s.text, s.show); err == nil {
				check(s, got)
			}
		}
		if err != nil {
			return fail(s.line, err)
		}
	}
	return nil
}

// TestScripts runs every file of testdata twice: as it stands, and with all that
// was counted written and read back after each event and before each question.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	total, waiting := 0, 0
	names := map[bool]string{false: "", true: ", written and read back"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if *rewrite {
			out, err := rewritten(file, string(text))
			if err == nil {
				err = os.WriteFile(file, []byte(out), 0o644)
			}
			if err != nil {
				t.Error(err)
			}
			continue
		}
		for _, careful := range []bool{false, true} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+names[careful], func(t *testing.T) {
				err := run(file, string(text), careful, func(s *step, got [][]string) {
					if !careful {
						total++
					}
					if s.pending != "" && !careful {
						waiting++
					}
					if wrong := judge(file, s, got); wrong != "" {
						t.Error(wrong)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	t.Logf("%d questions, %d of them pending", total, waiting)
}

// judge holds an answer against what the script says and tells what is wrong, ""
// for nothing. A pending one must still be wrong, so that the mark goes when it is
// no longer needed.
func judge(file string, s *step, answer [][]string) string {
	want, got := split(s.want), split(aligned(answer))
	right := same(want, got)
	switch {
	case s.pending == "" && !right:
		return fmt.Sprintf("%s:%d: %s\nask %s\n\ngot\n%s\n\nwant\n%s\n", file, s.line, s.about, s.text,
			strings.Join(aligned(got), "\n"), strings.Join(aligned(want), "\n"))
	case s.pending != "" && right:
		return fmt.Sprintf("%s:%d: %s\nis right now: take the mark \"pending: %s\" away", file, s.line, s.about, s.pending)
	}
	return ""
}

var rewrite = flag.Bool("rewrite", false, "write the answers that come into the scripts; read the diff")

// rewritten gives a script with the answers that come. Pending ones stay; they lose
// their mark when they are right.
func rewritten(file, text string) (string, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	type change struct {
		from, to int
		with     []string
	}
	var changes []change
	err := run(file, text, false, func(s *step, got [][]string) {
		if s.pending != "" {
			if !same(split(s.want), split(aligned(got))) {
				return
			}
			changes = append(changes, change{s.mark - 1, s.mark, nil})
		}
		changes = append(changes, change{s.from, s.to, aligned(got)})
	})
	for _, c := range slices.Backward(changes) {
		lines = slices.Replace(lines, c.from, c.to, c.with...)
	}
	return strings.Join(lines, "\n") + "\n", err
}
