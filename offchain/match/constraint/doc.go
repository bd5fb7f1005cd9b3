// Package constraint is the language in which a job says what a node must be:
//
//	region == "eu" && cpu_single >= 2000 && attr.tpm == true
//
// It is typed, has no loops, no floats and no calls out, and is compiled once to closures; what an evaluation costs is
// bounded by the length of the source. So every oracle gets the same answer in the same time.
//
//	expression = or ;
//	or         = and { "||" and } ;
//	and        = comparison { "&&" comparison } ;
//	comparison = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum | [ "!" ] "in" list ] ;
//	sum        = product { ( "+" | "-" ) product } ;
//	product    = unary { ( "*" | "/" | "%" ) unary } ;
//	unary      = ( "-" | "!" ) unary | call ;
//	call       = primary { "." name "(" expression ")" } ;
//	primary    = integer | string | "true" | "false" | name | attribute | "has" "(" attribute ")" | "(" expression ")" ;
//	attribute  = "attr" ( "." name | "[" string "]" ) ;
//	list       = "[" [ expression { "," expression } [ "," ] ] "]" ;
//
// Integers have 64 bits and stop at their bounds; / and % take a constant other than zero. Strings have the methods
// startsWith, endsWith and contains. Attributes are text on the chain and are read as the type that they are compared
// with. One that is missing, or is no such value, compares as false, but for !=.
package constraint
