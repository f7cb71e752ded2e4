// Command greet is a program that tests build as a function.
package main

import "fmt"

func main() { fmt.Println("hello") }
