package main

import (
	"database/sql"
	"fmt"
	"regexp"

	_ "github.com/duckdb/duckdb-go/v2" // registers itself
	sqlite3 "github.com/mattn/go-sqlite3"
)

// engine is one database and what differs in its SQL.
type engine struct {
	name, title string
	version     string // query
	driver      string
	options     string   // added to the file's name
	ready       []string // run when the file was opened
	contains    string   // condition with a place for the field
	matches     string
	glob        string // condition on page
}

func engineOf(name string) (engine, error) {
	switch name {
	case "sqlite":
		return engine{name: name, title: "SQLite", version: "SELECT sqlite_version()", driver: "sqlite3_regexp",
			// A large page cache and mapped files, as for a database that is read much.
			options:  "?_journal_mode=WAL&_synchronous=NORMAL&_cache_size=-262144",
			ready:    []string{"PRAGMA mmap_size = 17179869184", "PRAGMA temp_store = MEMORY", "PRAGMA threads = 2"},
			contains: "instr(%s, ?) > 0", matches: "%s REGEXP ?", glob: "page REGEXP ?"}, nil
	case "duckdb":
		return engine{name: name, title: "DuckDB", version: "SELECT version()", driver: "duckdb",
			contains: "contains(%s, ?)", matches: "regexp_matches(%s, ?)", glob: "regexp_matches(page, ?)"}, nil
	}
	return engine{}, fmt.Errorf("no engine %q", name)
}

// open opens a database on one connection; an empty file is one in memory.
func (e engine) open(file string) (*sql.DB, error) {
	if e.name == "sqlite" {
		registerRegexp()
		if file == "" {
			file = ":memory:"
		} else {
			file = "file:" + file + e.options
		}
	}
	db, err := sql.Open(e.driver, file)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	db.SetMaxOpenConns(1)
	for _, text := range e.ready {
		if _, err := db.Exec(text); err != nil {
			db.Close()
			return nil, fmt.Errorf("open %s: %w", file, err)
		}
	}
	return db, nil
}

// registerRegexp gives SQLite the REGEXP that it has no function for.
func registerRegexp() {
	for _, known := range sql.Drivers() {
		if known == "sqlite3_regexp" {
			return
		}
	}
	sql.Register("sqlite3_regexp", &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		var text string
		var compiled *regexp.Regexp
		return c.RegisterFunc("regexp", func(pattern, value string) (bool, error) {
			if compiled == nil || pattern != text {
				re, err := regexp.Compile(pattern)
				if err != nil {
					return false, err
				}
				text, compiled = pattern, re
			}
			return compiled.MatchString(value), nil
		}, true)
	}})
}
