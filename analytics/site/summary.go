package site

// Summary is what a header says of a site as of its last flush, without making
// the site live again.
type Summary struct {
	First  int64 // time of the earliest event, Unix ms; 0 if there is none
	Last   int64 // latest activity, Unix ms; 0 if there is none
	Oldest int32 // earliest UTC day of which anything is held; 0 if there is none
	Kept   int32 // earlier days are closed; 0: none
	Seals  int   // closed months
	Sealed int32 // number of the last of them, if there are any
}

// Summarize reads a header.
func Summarize(header []byte) (Summary, error) {
	m, _, _, err := restoreTop(0, header)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{First: m.first, Kept: m.kept, Seals: len(m.seals)}
	if n := len(m.seals); n > 0 {
		s.Sealed = m.seals[n-1].Month
	}
	for i, d := range m.days {
		if i == 0 {
			s.Oldest = d.n
		}
		if d.visits > 0 {
			s.Last = max(s.Last, d.last)
		}
	}
	return s, nil
}
