package record

import "regexp"

// ConsumerNames describes the names that [IsConsumerName] reports as good, for messages.
const ConsumerNames = "1 to 128 of the characters A-Z a-z 0-9 . _ - and /"

var consumerName = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,128}$`)

// IsConsumerName reports whether the inbox can know a consumer by the name: 1 to 128 of the characters
// A-Z a-z 0-9 . _ - and /. It has no '#', which ends it in a key.
func IsConsumerName(name string) bool { return consumerName.MatchString(name) }
