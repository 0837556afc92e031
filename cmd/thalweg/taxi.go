package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// taxi is what the demo's records are about: it numbers its reports, so that
// a reader can tell when one is missing, doubled or out of order.
type taxi struct {
	name      string
	trip      int // number of the last report
	lat, lon  float64
	heading   float64
	passenger bool
	fare      float64
	sent      time.Time
}

// taxis is the fleet, each at its own place in the city.
func taxis() []taxi {
	fleet := make([]taxi, 60)
	for i := range fleet {
		fleet[i] = taxi{name: fmt.Sprintf("taxi-%03d", i+1), lat: 48.20 + rand.Float64()/20, lon: 16.35 + rand.Float64()/20, heading: 360 * rand.Float64()}
	}
	return fleet
}

// drive moves the taxi a little way and on in its day.
func (t *taxi) drive() {
	t.trip++
	t.heading = math.Mod(t.heading+30*rand.NormFloat64()+360, 360)
	sin, cos := math.Sincos(t.heading * math.Pi / 180)
	t.lat, t.lon = t.lat+cos/20000, t.lon+sin/20000
	switch {
	case !t.passenger && rand.IntN(20) == 0:
		t.passenger, t.fare = true, 4.10
	case t.passenger && rand.IntN(40) == 0:
		t.passenger, t.fare = false, 0
	case t.passenger:
		t.fare += 0.05
	}
}

// taxiReport is a record's data.
type taxiReport struct {
	Taxi      string  `json:"taxi"`
	N         int     `json:"n"`
	At        string  `json:"at"`
	Lat       float64 `json:"lat"`
	Lon       float64 `json:"lon"`
	Passenger bool    `json:"passenger"`
	Fare      float64 `json:"fare,omitempty"`
}

func (t *taxi) report(now time.Time) []byte {
	round := func(f float64, unit float64) float64 { return math.Round(f*unit) / unit }
	b, err := json.Marshal(taxiReport{
		Taxi: t.name, N: t.trip, At: now.UTC().Format(time.RFC3339Nano),
		Lat: round(t.lat, 1e5), Lon: round(t.lon, 1e5), Passenger: t.passenger, Fare: round(t.fare, 100),
	})
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	return b
}

func parseTaxi(data []byte) (taxi, error) {
	var r taxiReport
	if err := json.Unmarshal(data, &r); err != nil {
		return taxi{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, r.At)
	return taxi{name: r.Taxi, trip: r.N, sent: at}, err
}
