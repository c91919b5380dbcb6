// Command peers puts the events of a history into SQLite or DuckDB and asks
// them what the node is asked, in SQL with the same meaning. It is a module of
// its own, so that their drivers are nobody else's. It speaks only through its
// standard streams: `load` reads tab-separated rows, `ask` reads questions and
// writes answers as JSON. It must never tune a question to its answer, nor keep
// an answer. Start at main; sql.go holds the questions.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("peers load|ask|version -engine sqlite|duckdb -file FILE")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	name := flags.String("engine", "", "sqlite or duckdb")
	file := flags.String("file", "", "the database")
	_ = flags.Parse(os.Args[2:]) // exits by itself
	if err := run(os.Args[1], *name, *file); err != nil {
		log.Fatal(err)
	}
}

func run(command, name, file string) error {
	e, err := engineOf(name)
	if err != nil {
		return err
	}
	switch command {
	case "version":
		return version(e)
	case "load":
		return load(e, file, os.Stdin)
	case "ask":
		var qs []question
		if err := json.NewDecoder(os.Stdin).Decode(&qs); err != nil && err != io.EOF {
			return fmt.Errorf("questions: %w", err)
		}
		out := json.NewEncoder(os.Stdout)
		for _, q := range qs {
			if err := out.Encode(e.answer(file, q)); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no command %q", command)
}

func version(e engine) error {
	db, err := e.open("")
	if err != nil {
		return err
	}
	defer db.Close()
	var v string
	if err := db.QueryRow(e.version).Scan(&v); err != nil {
		return err
	}
	fmt.Printf("%s %s\n", e.title, v)
	return nil
}
