package kafka

import (
	"errors"
	"fmt"
	"strings"
)

// login is one entry of a JAAS configuration as sasl.jaas.config holds it:
//
//	org.apache.kafka.common.security.plain.PlainLoginModule required
//	  username="alice" password="alice-secret";
type login struct {
	module  string
	options map[string]string
}

// parseJAAS reads the value of sasl.jaas.config: one login module, a control
// flag, options and a semicolon. Values stand bare or in double quotes, within
// which a backslash takes away the meaning of the next character, as in Java's
// StreamTokenizer. Errors never hold any part of the text, which has secrets in
// it; they say at which byte reading stopped.
func parseJAAS(text string) (login, error) {
	p := &jaasReader{text: text}
	module, err := p.word("the login module's class")
	if err != nil {
		return login{}, err
	}
	flag, err := p.word("required")
	if err != nil {
		return login{}, err
	}
	switch strings.ToLower(flag) {
	case "required", "requisite", "sufficient", "optional":
	default:
		return login{}, fmt.Errorf("after the login module's class, required was expected (byte %d)", p.at)
	}
	l := login{module: module, options: map[string]string{}}
	for {
		p.space()
		if p.take(';') {
			break
		}
		name, err := p.word("an option or a semicolon")
		if err != nil {
			return login{}, err
		}
		p.space()
		if !p.take('=') {
			return login{}, fmt.Errorf("an option lacks its = (byte %d)", p.at)
		}
		p.space()
		value, err := p.word("an option's value")
		if err != nil {
			return login{}, err
		}
		l.options[name] = value
	}
	p.space()
	if p.at != len(p.text) {
		return login{}, fmt.Errorf("something follows the first semicolon (byte %d); one login module is expected", p.at)
	}
	return l, nil
}

type jaasReader struct {
	text string
	at   int
}

func (p *jaasReader) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n\f", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *jaasReader) take(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *jaasReader) word(what string) (string, error) {
	p.space()
	if p.take('"') {
		return p.quoted()
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n\f;=\"", p.text[p.at]) < 0 {
		p.at++
	}
	if p.at == start {
		if p.at == len(p.text) {
			return "", fmt.Errorf("it ends where %s was expected; it must end in a semicolon", what)
		}
		return "", fmt.Errorf("%s was expected (byte %d)", what, p.at)
	}
	return p.text[start:p.at], nil
}

func (p *jaasReader) quoted() (string, error) {
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch c {
		case '"':
			return b.String(), nil
		case '\\':
			if p.at == len(p.text) {
				return "", errors.New("it ends after a backslash")
			}
			c = p.text[p.at]
			p.at++
			switch c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			}
		}
		b.WriteByte(c)
	}
	return "", errors.New("a double quote is not closed")
}
