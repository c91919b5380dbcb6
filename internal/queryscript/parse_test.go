package queryscript

import (
	"encoding/json"
	"fmt"
	"strings"
)

// step is one statement of a script.
type step struct {
	line    int // where it begins, from 1
	verb    string
	text    string // what follows the verb
	body    []line // the lines of a load
	want    []string
	from    int    // lines [from, to) of the file hold want
	to      int    //
	about   string // the comment above an ask, which is its name
	pending string // why it does not hold yet
	mark    int    // line of the pending mark
	show    []string
}

// line is a line of the file that belongs to a statement.
type line struct {
	number int
	text   string
}

const separator = "----"

// parse cuts a script into its statements. An error names the line.
func parse(file, text string) ([]*step, error) {
	p := &parser{file: file, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	for p.at < len(p.lines) {
		if err := p.statement(); err != nil {
			return nil, err
		}
	}
	if p.pending != "" || len(p.show) > 0 {
		return nil, p.fail(len(p.lines), "pending and show need an ask after them")
	}
	return p.steps, nil
}

type parser struct {
	file  string
	lines []string
	at    int // index of the line to be read
	steps []*step

	about   []string
	pending string
	mark    int
	show    []string
}

func (p *parser) fail(number int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, number, fmt.Sprintf(format, args...))
}

func (p *parser) statement() error {
	text := p.lines[p.at]
	number := p.at + 1
	p.at++
	if comment, ok := strings.CutPrefix(text, "#"); ok {
		if number >= 2 && !strings.HasPrefix(p.lines[number-2], "#") {
			p.about = nil
		}
		p.about = append(p.about, strings.TrimSpace(comment))
		return nil
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if strings.TrimLeft(text, " \t") != text {
		return p.fail(number, "an indented line belongs to a load or an ask above it: %q", text)
	}
	verb, rest, _ := strings.Cut(strings.TrimRight(text, " \t"), " ")
	s := &step{line: number, verb: verb, text: strings.TrimSpace(rest)}
	switch verb {
	case "site", "goal", "segment", "now", "with":
		p.indented(s)
	case "flush", "restart":
		if s.text != "" {
			return p.fail(number, "%s takes nothing, got %q", verb, s.text)
		}
	case "load":
		if s.text != "" {
			return p.fail(number, "the events of a load stand indented on lines of their own")
		}
		p.indented(s)
		if len(s.body) == 0 {
			return p.fail(number, "load without events")
		}
	case "pending:":
		if s.text == "" {
			return p.fail(number, "pending without a reason")
		}
		p.pending, p.mark = s.text, number
		return nil
	case "show":
		if s.text == "" {
			return p.fail(number, "show without the name of anything")
		}
		p.show = append(p.show, strings.Fields(s.text)...)
		return nil
	case "ask":
		return p.ask(s)
	default:
		return p.fail(number, "unknown statement %q", verb)
	}
	p.steps = append(p.steps, s)
	return nil
}

// indented takes the lines that belong to s: of a load they are its events, of
// others they go on with its text.
func (p *parser) indented(s *step) {
	for p.at < len(p.lines) {
		text := strings.TrimSpace(p.lines[p.at])
		if p.lines[p.at] == text {
			return // a blank line too
		}
		p.at++
		if strings.HasPrefix(text, "#") || text == "" {
			continue
		}
		if s.verb == "load" {
			s.body = append(s.body, line{p.at, text})
		} else {
			s.text += " " + text
		}
	}
}

// ask takes the question up to the separator, and the answer up to a blank line.
func (p *parser) ask(s *step) error {
	for ; ; p.at++ {
		if p.at == len(p.lines) || strings.TrimSpace(p.lines[p.at]) == "" {
			return p.fail(s.line, "ask without a line %s between question and answer", separator)
		}
		if p.lines[p.at] == separator {
			break
		}
		s.text += "\n" + strings.TrimSpace(p.lines[p.at])
	}
	p.at++
	s.from = p.at
	for p.at < len(p.lines) && strings.TrimSpace(p.lines[p.at]) != "" {
		s.want = append(s.want, p.lines[p.at])
		p.at++
	}
	s.to = p.at
	s.about = strings.Join(p.about, " ")
	s.pending, s.mark, s.show = p.pending, p.mark, p.show
	p.pending, p.mark, p.show = "", 0, nil // a comment is about all questions up to the next
	p.steps = append(p.steps, s)
	return nil
}

// words cuts a line at spaces; quotes keep a word together and are taken off:
// name="two words" is the word name=two words. In quotes, \" is a quote.
func words(text string) ([]string, error) {
	var out []string
	var word strings.Builder
	inside, begun := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inside && c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			word.WriteByte(text[i])
		case c == '"':
			inside, begun = !inside, true
		case !inside && (c == ' ' || c == '\t'):
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if inside {
		return nil, fmt.Errorf("a quote without its partner in %q", text)
	}
	if begun {
		out = append(out, word.String())
	}
	return out, nil
}

// setting cuts a word at its first "=".
func setting(word string) (key, value string, err error) {
	key, value, ok := strings.Cut(word, "=")
	if !ok || key == "" {
		return "", "", fmt.Errorf("%q is not of the form name=value", word)
	}
	return key, value, nil
}

// object reads one JSON object, keeping its members as they are written.
func object(text string) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	if m == nil {
		return nil, fmt.Errorf("%s is not an object", text)
	}
	return m, nil
}
