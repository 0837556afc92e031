package expr

// kind is a kind of token.
type kind byte

const (
	end     kind = iota
	word         // name, keyword or function
	name         // #name
	value        // :value
	digits       // of an index
	mark         // punctuation and operators
	unknown      // no token of the language
)

// token is a piece of an expression's text.
type token struct {
	kind kind
	text string
	at   int
}

// scan splits text into tokens; the last one is an end.
func scan(text string) []token {
	var list []token
	for at := 0; ; {
		for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
			at++
		}
		if at == len(text) {
			return append(list, token{end, "<EOF>", at})
		}
		k, n := next(text[at:])
		list = append(list, token{k, text[at : at+n], at})
		at += n
	}
}

// next returns the kind and the length of the token at the start of text.
func next(text string) (kind, int) {
	switch c := text[0]; {
	case isLetter(c) && c != '_':
		return word, 1 + span(text[1:], isWord)
	case isDigit(c):
		return digits, 1 + span(text[1:], isDigit)
	case c == '#' || c == ':':
		n := span(text[1:], isWord)
		switch {
		case n == 0:
			return unknown, 1
		case c == '#':
			return name, n + 1
		}
		return value, n + 1
	case c == '<' && len(text) > 1 && (text[1] == '=' || text[1] == '>'), c == '>' && len(text) > 1 && text[1] == '=':
		return mark, 2
	case c == '=', c == '<', c == '>', c == '(', c == ')', c == '[', c == ']', c == ',', c == '.', c == '+', c == '-':
		return mark, 1
	case c >= 0x80: // a whole character, for the fault's text
		n := 1
		for n < len(text) && text[n]&0xc0 == 0x80 {
			n++
		}
		return unknown, n
	}
	return unknown, 1
}

func span(text string, in func(byte) bool) int {
	n := 0
	for n < len(text) && in(text[n]) {
		n++
	}
	return n
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) }
