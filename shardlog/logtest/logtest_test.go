package logtest

import (
	"os"
	"os/exec"
	"testing"
)

func TestReference(t *testing.T) { Run(t, openReference("")) }

func TestReferenceCrash(t *testing.T) { Crash(t, openReference("")) }

func TestReferenceKilled(t *testing.T) { Killed(t, openReference("")) }

func TestReferenceFaults(t *testing.T) { Faults(t, openReference("")) }

// The suite must catch each of the reference's bugs; it runs in a process of
// its own, where it may fail.
func TestMutants(t *testing.T) {
	for mutant, test := range map[string]string{
		"ack before sync": "TestMutant/crash", "lost seal": "TestMutant/run", "off by one": "TestMutant/run", "forgets retain": "TestMutant/run", "sync retried": "TestMutant/faults",
		"trusts the cache": "TestMutant/killed", "takes dirty for clean": "TestMutant/faults",
	} {
		t.Run(mutant, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestMutant$/^"+test[len("TestMutant/"):]+"$", "-test.failfast", "-rapid.nofailfile")
			cmd.Env = append(os.Environ(), "LOGTEST_MUTANT="+mutant)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the suite passes a log with the bug %q:\n%s", mutant, out)
			}
			if _, failed := err.(*exec.ExitError); !failed {
				t.Fatal(err)
			}
		})
	}
}

// TestMutant does nothing but in TestMutants' child.
func TestMutant(t *testing.T) {
	mutant := os.Getenv("LOGTEST_MUTANT")
	if mutant == "" {
		return
	}
	t.Run("run", func(t *testing.T) { Run(t, openReference(mutant)) })
	t.Run("crash", func(t *testing.T) { Crash(t, openReference(mutant)) })
	t.Run("killed", func(t *testing.T) { Killed(t, openReference(mutant)) })
	t.Run("faults", func(t *testing.T) { Faults(t, openReference(mutant)) })
}
