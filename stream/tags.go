package stream

import (
	"strings"
	"unicode"

	"github.com/thalweg/thalweg/fault"
)

// CheckTags holds tag keys and values against the characters that AWS allows.
// AWS has two checks with a text each; the percent sign and the comma pass one
// of them alone, so neither can be used. verb and what complete the second
// text: "add tags to". (kinesalite test/addTagsToStream.js)
func CheckTags(ref Ref, verb string, texts ...string) error {
	for _, t := range texts {
		if strings.ContainsFunc(t, func(r rune) bool { return !tagRune(r) && r != '%' }) {
			return fault.New(fault.Invalid, "Some tags contain invalid characters. "+
				"Valid characters: Unicode letters, digits, white space, _ . / = + - %% @.")
		}
	}
	for _, t := range texts {
		if strings.ContainsRune(t, '%') {
			return fault.New(fault.Invalid, "Failed to %s stream %s under account %s because some tags contained illegal characters. "+
				"The allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'.", verb, ref.Name, ref.Account)
		}
	}
	return nil
}

// roomForTags checks that the tags of a stream, or of a consumer of it, are not
// too many.
func roomForTags(ref Ref, consumer string, tags map[string]string) error {
	if len(tags) <= maxTags {
		return nil
	}
	kind, name := "stream", ref.Name
	if consumer != "" {
		kind, name = "consumer", consumer+" of stream "+ref.Name
	}
	return fault.New(fault.Invalid, "Failed to add tags to %s %s under account %s because a given %s cannot have more than %d tags associated with it.",
		kind, name, ref.Account, kind, maxTags)
}

// tagRune tells whether a tag may contain r. Colons are allowed since tags of
// other AWS services, such as aws:cloudformation:stack-name, have them.
func tagRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r) || unicode.Is(unicode.Zs, r) || strings.ContainsRune("_./=+-@:", r)
}
