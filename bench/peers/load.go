package main

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// columns of the table, in the order of a row's fields. Visits are numbered by
// who wrote the rows; what a visit says stands in each of its rows.
var columns = []struct{ name, kind string }{
	{"ts", "BIGINT"}, {"day", "INTEGER"}, {"month", "INTEGER"}, {"kind", "INTEGER"}, {"name", "TEXT"}, {"page", "TEXT"}, {"host", "TEXT"},
	{"visit", "BIGINT"}, {"visitor", "BIGINT"},
	{"source", "TEXT"}, {"referrer", "TEXT"}, {"channel", "TEXT"}, {"utm_medium", "TEXT"}, {"utm_source", "TEXT"}, {"utm_campaign", "TEXT"},
	{"utm_content", "TEXT"}, {"utm_term", "TEXT"}, {"browser", "TEXT"}, {"browser_version", "TEXT"}, {"os", "TEXT"}, {"os_version", "TEXT"},
	{"device", "TEXT"}, {"country", "TEXT"}, {"region", "TEXT"}, {"city", "TEXT"}, {"language", "TEXT"}, {"screen", "TEXT"},
	{"scroll", "INTEGER"}, {"engaged_ms", "INTEGER"}, {"props", "TEXT"}, {"revenue", "BIGINT"}, {"currency", "TEXT"},
}

// indexes of SQLite cover the questions of the comparison, so that no row of the
// table itself has to be read for them. DuckDB needs none: its rows are in the
// order of time and it skips by minimum and maximum.
var indexes = []string{
	"CREATE INDEX by_time ON events (ts, kind, visitor, visit, day, month)",
	"CREATE INDEX by_time_page ON events (ts, kind, page, visitor, month)",
	"CREATE INDEX by_time_source ON events (ts, kind, source, visitor, month)",
	"CREATE INDEX by_country ON events (country, ts, kind, source, visitor)",
	"CREATE INDEX by_country_device ON events (country, device, ts, kind, page, visitor)",
	"CREATE INDEX by_visit ON events (visit, ts, kind, page)",
}

func create() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE events (")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.name + " " + c.kind)
	}
	return b.String() + ")"
}

// load makes the database file from rows, which are the standard input.
func load(e engine, file string, rows io.Reader) error {
	db, err := e.open(file)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(create()); err != nil {
		return err
	}
	if e.name == "duckdb" {
		return loadDuckDB(db, "/dev/stdin")
	}
	return loadSQLite(db, rows)
}

// loadDuckDB lets DuckDB read the rows itself, which is fastest.
func loadDuckDB(db *sql.DB, from string) error {
	var types strings.Builder
	for i, c := range columns {
		if i > 0 {
			types.WriteString(", ")
		}
		fmt.Fprintf(&types, "'%s': '%s'", c.name, c.kind)
	}
	// Empty fields are empty texts, as in the rows.
	text := "INSERT INTO events SELECT * FROM read_csv('" + from + "', delim='\t', quote='', escape='', header=false, auto_detect=false, force_not_null=" +
		texts() + ", columns={" + types.String() + "})"
	if _, err := db.Exec(text); err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	if _, err := db.Exec("CHECKPOINT"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

func texts() string {
	var names []string
	for _, c := range columns {
		if c.kind == "TEXT" {
			names = append(names, "'"+c.name+"'")
		}
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func loadSQLite(db *sql.DB, rows io.Reader) error {
	// Nobody reads a file that is not complete.
	for _, text := range []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"} {
		if _, err := db.Exec(text); err != nil {
			return err
		}
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing to do after Commit
	insert, err := tx.Prepare("INSERT INTO events VALUES (?" + strings.Repeat(",?", len(columns)-1) + ")")
	if err != nil {
		return err
	}
	in := bufio.NewScanner(rows)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	values := make([]any, len(columns))
	for n := 1; in.Scan(); n++ {
		rest, field := in.Text(), ""
		for i, c := range columns {
			field, rest, _ = strings.Cut(rest, "\t")
			if c.kind == "TEXT" {
				values[i] = field
				continue
			}
			if values[i], err = strconv.ParseInt(field, 10, 64); err != nil {
				return fmt.Errorf("row %d, %s: %w", n, c.name, err)
			}
		}
		if _, err := insert.Exec(values...); err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	for _, text := range append(indexes[:len(indexes):len(indexes)], "ANALYZE", "PRAGMA journal_mode = WAL") {
		if _, err := db.Exec(text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}
