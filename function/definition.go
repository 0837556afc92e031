package function

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Function is what a function is, but for its published versions. One that was
// read is shared and read-only.
type Function struct {
	Name      Name              `json:"name"`
	Latest    Version           `json:"latest"`
	Published int               `json:"published,omitzero"` // the highest number that a version ever had
	Aliases   map[string]Alias  `json:"aliases,omitempty"`
	Reserved  *int              `json:"reserved,omitzero"` // concurrency; nil: shares the account's
	Tags      map[string]string `json:"tags,omitempty"`
	Policies  map[string]Policy `json:"policies,omitempty"` // by qualifier; "" for the function's own
	Async     map[string]Async  `json:"async,omitempty"`    // by qualifier, $LATEST included
}

// Version is the code and the configuration of one version.
type Version struct {
	Number       int               `json:"number,omitzero"` // 0: $LATEST
	Revision     string            `json:"revision"`        // a UUID, new with each change
	Modified     time.Time         `json:"modified"`
	Runtime      string            `json:"runtime"`
	Handler      string            `json:"handler,omitzero"`
	Role         string            `json:"role"`
	Description  string            `json:"description,omitzero"`
	Timeout      int               `json:"timeout"` // seconds
	Memory       int               `json:"memory"`  // MB
	Environment  map[string]string `json:"environment,omitempty"`
	Architecture string            `json:"architecture"` // x86_64 or arm64
	Temporary    int               `json:"temporary"`    // MB of /tmp, told and not bounded
	LogGroup     string            `json:"logGroup,omitzero"`
	Code         Code              `json:"code"`
}

// Code names an archive in the data folder.
type Code struct {
	SHA256 string `json:"sha256"` // 64 hexadecimal digits
	Size   int64  `json:"size"`   // bytes of the archive
}

// Qualifier is what the version is called: $LATEST or its number.
func (v *Version) Qualifier() string {
	if v.Number == 0 {
		return Latest
	}
	return strconv.Itoa(v.Number)
}

// Alias is a name for a version, or for two that share its invocations.
type Alias struct {
	Version     int     `json:"version"` // 0: $LATEST
	Description string  `json:"description,omitzero"`
	Other       int     `json:"other,omitzero"`  // a second version; 0: none
	Weight      float64 `json:"weight,omitzero"` // the part of invocations that goes to Other
	Revision    string  `json:"revision"`
}

// Policy is a resource policy. It is told; nothing evaluates it.
type Policy struct {
	Statements []Statement `json:"statements"` // in the order in which they came
	Revision   string      `json:"revision"`
}

// Statement is one statement of a policy, as the JSON that AWS shows.
type Statement struct {
	ID   string `json:"id"`
	JSON string `json:"json"`
}

// Async is what becomes of events of a function that fail.
type Async struct {
	Modified  time.Time `json:"modified"`
	Retries   *int      `json:"retries,omitzero"` // 0 to 2; nil: 2
	MaxAge    *int      `json:"maxAge,omitzero"`  // seconds, 60 to 21600; nil: 21600
	OnSuccess string    `json:"onSuccess,omitzero"`
	OnFailure string    `json:"onFailure,omitzero"` // ARNs
}

// entry is a function in the state machine. It is replaced, never changed.
type entry struct {
	version  uint64 // the position of the command that last defined it
	def      *Function
	versions map[int]*Version // published ones, by number
}

// find returns the version that a qualifier means. roll, in [0, 1), decides
// where an alias has two.
func (e *entry) find(qualifier string, roll float64) *Version {
	if qualifier == "" || qualifier == Latest {
		return &e.def.Latest
	}
	n, err := strconv.Atoi(qualifier)
	if err != nil {
		a, ok := e.def.Aliases[qualifier]
		if !ok {
			return nil
		}
		if n = a.Version; a.Other != 0 && roll < a.Weight {
			n = a.Other
		}
		if n == 0 {
			return &e.def.Latest
		}
	}
	return e.versions[n]
}

// clone is a copy whose maps can be changed.
func (d *Function) clone() *Function {
	c := *d
	c.Aliases = maps.Clone(d.Aliases)
	c.Tags = maps.Clone(d.Tags)
	c.Async = maps.Clone(d.Async)
	c.Policies = maps.Clone(d.Policies)
	for k, p := range c.Policies {
		p.Statements = slices.Clone(p.Statements)
		c.Policies[k] = p
	}
	c.Latest.Environment = maps.Clone(d.Latest.Environment)
	return &c
}
