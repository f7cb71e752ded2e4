// Command hello is a program that tests build in several folders.
package main

import (
	"fmt"

	"example.com/module/greeting"
)

func main() { fmt.Println(greeting.Text) }
