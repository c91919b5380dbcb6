package importer

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// rejectedFile is made with its first line. A line of it is
// "input:number<TAB>what is wrong<TAB>the line". It holds lines of the user's
// own log, so nobody else may read it.
type rejectedFile struct {
	inputs []string
	wanted string // by the user; "" chooses
	f      *os.File
	w      *bufio.Writer
}

func newRejectedFile(inputs []string, wanted string) *rejectedFile {
	return &rejectedFile{inputs: inputs, wanted: wanted}
}

// name gives the file's path, "" while there is none.
func (r *rejectedFile) name() string {
	if r.f == nil {
		return ""
	}
	return r.f.Name()
}

func (r *rejectedFile) write(x refusal) error {
	if r.f == nil {
		f, err := r.create()
		if err != nil {
			return fmt.Errorf("make the file of rejected lines (--rejected names another place): %w", err)
		}
		r.f, r.w = f, bufio.NewWriter(f)
	}
	_, err := fmt.Fprintf(r.w, "%s:%d\t%s\t%s\n", r.inputs[x.input], x.line, x.why, x.raw)
	return err
}

// create makes the file beside the first input, or where that is not allowed in
// the working directory.
func (r *rejectedFile) create() (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if r.wanted != "" {
		return os.OpenFile(r.wanted, flags, 0o600)
	}
	path := "stdin"
	if r.inputs[0] != "-" {
		path = r.inputs[0]
	}
	path += ".rejected"
	f, err := os.OpenFile(path, flags, 0o600)
	if err == nil {
		return f, nil
	}
	f, again := os.OpenFile(filepath.Base(path), flags, 0o600)
	if again != nil {
		return nil, errors.Join(err, again)
	}
	return f, nil
}

func (r *rejectedFile) close() error {
	if r.f == nil {
		return nil
	}
	if err := errors.Join(r.w.Flush(), r.f.Close()); err != nil {
		return fmt.Errorf("write the file of rejected lines: %w", err)
	}
	return nil
}
