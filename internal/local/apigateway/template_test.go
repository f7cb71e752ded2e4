package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// input is the input of the templates in these tests.
func input(body string) *variables {
	return &variables{
		Body: body,
		Params: &params{
			Path:   map[string]string{"id": "p", "both": "path"},
			Query:  map[string]string{"q": "1", "both": "query"},
			Header: map[string]string{"Idempotency-Key": "k", "both": "header"},
		},
		Context:        &requestContext{RequestID: "r-1", RequestTimeEpoch: 1700000000123, Identity: identity{SourceIP: "127.0.0.1"}},
		StageVariables: map[string]string{"name": "blue"},
	}
}

const document = `{"s":"it's \"x\"","n":7,"one":1.0,"big":12345678901234567890,"t":true,"null":null,"e":"","l":[{"c":5},{"c":6}],"m":{"k k":"v"},"a.b":"dot"}`

func TestRender(t *testing.T) {
	r := newRenderer()
	defer r.close()
	for _, tt := range []struct{ name, template, want string }{
		// $input
		{"the whole body", `$input.json('$')`, document},
		{"the raw body", `$input.body`, document},
		{"JSON of a string", `$input.json('$.s')`, `"it's \"x\""`},
		{"text of a string", `$input.path('$.s')`, `it's "x"`},
		{"JSON of nothing", `$input.json('$.nope')`, `""`},
		{"nothing", `[$input.path('$.nope')$input.path('$.nope.deeper[0]')]`, `[]`},
		{"JSON null", `$input.json('$.null') [$input.path('$.null')]`, `null []`},
		{"every digit of a number", `$input.json('$.one') $input.path('$.big')`, `1.0 12345678901234567890`},
		{"a list is JSON", `$input.path('$.l')`, `[{"c":5},{"c":6}]`},
		{"a map is Java's", `$input.path('$.m')`, `{k k=v}`},
		{"path, then query string, then header", `$input.params('both') $input.params('q') $input.params('idempotency-key') [$input.params('x')]`, `path 1 k []`},
		{"all parameters", `#foreach($k in $input.params().keySet())$k=$input.params().get($k).get('both')#if($foreach.hasNext), #end#end`, `path=path, querystring=query, header=header`},
		// JSON paths
		{"index", `$input.json('$.l[1].c') $input.json('$.l[-1].c') $input.json('$.l[2].c')`, `6 6 ""`},
		{"quoted names", `$input.path("$['m']['k k']") $input.path('$["a.b"]')`, `v dot`},
		{"wildcards", `$input.json('$.l[*].c') $input.json('$..c') $input.json('$.nope[*]')`, `[5,6] [5,6] []`},
		{"without $", `$input.json('m')`, `{"k k":"v"}`},
		// $context, $stageVariables
		{"context", `$context.requestId $context.identity.sourceIp [$context.authorizer.principalId] $stageVariables.name [$stageVariables.x]`, `r-1 127.0.0.1 [] blue []`},
		{"seconds", `#set($s = $context.requestTimeEpoch / 1000 + 60)$s`, `1700000060`},
		// $util
		{"escapeJavaScript", "$util.escapeJavaScript(\"a'b/\\é\n\x01\U0001F600\") $util.escapeJavaScript('\"')", `a\'b\/\\\u00E9\n\u0001\uD83D\uDE00 \"`},
		{"bare quotes again", `$util.escapeJavaScript($input.path('$.s')).replaceAll("\\'","'")`, `it's \"x\"`},
		{"urlEncode", `$util.urlEncode("a b&c~*'()")`, `a+b%26c%7E*%27%28%29`},
		{"urlDecode", `$util.urlDecode('a+b%20c%C3%A9')`, `a b cé`},
		{"base64", `$util.base64Encode('hé') $util.base64Decode('aMOp')`, `aMOp hé`},
		{"parseJson", `$util.parseJson('{"z":[1,{"y":2}]}').z[1].y`, `2`},
		// Velocity
		{"an unknown reference", `[$nope][$!nope][${nope.a.b()}]`, `[][][]`},
		{"the empty string holds", `#if($nope)holds#end #if($nope == '')empty#end #if(false)no#elseif($nope != "")no#{else}else#end`, `holds empty else`},
		{"logic", `#if(!false && (false || true) && not false)yes#end`, `yes`},
		{"numbers against strings", `#if($input.path('$.n') == '7')equal#end #if($input.path('$.n') > 6)more#end #if('7' > 6)no#end`, `equal more `},
		{"Java's division", `#set($x = 7 / 2)$x #set($x = -7 / 2)$x #set($x = 7 % 4)$x #set($x = 7 / 2.0)$x #set($x = 4 * 0.5)$x`, `3 -3 3 3.5 2.0`},
		{"joined strings", `#set($x = 'a' + 1)$x #set($x = "$x$nope")$x`, `a1 a1`},
		{"single quotes are literal", `#set($x = '$context.requestId')$x`, `$context.requestId`},
		{"ranges", `#foreach($i in [1..3])$i#if($foreach.hasNext),#end#end #foreach($i in [3..1])$i$foreach.index$foreach.count #end`, `1,2,3 301 212 123 `},
		{"break", `#foreach($i in [1..3])$i#if($i == 2)#break never#end,#end.`, `1,2.`},
		{"a loop's variable ends with it", `#set($i = 'kept')#foreach($i in [1, 2])#end$i [$foreach.index]`, `kept []`},
		{"a map's values", `#set($m = {'a': 1, 'b': 2})#foreach($v in $m)$v#end`, `12`},
		{"entries", `#foreach($e in $input.path('$.m').entrySet())$e.key=$e.value,$e.getKey()=$e.getValue()#end`, `k k=v,k k=v`},
		{"define", `#define($d)<$x>#end#set($x = 1)$d#set($x = 2)$d`, `<1><2>`},
		{"macro", `#macro(wrap $x)<$x>#end#wrap('a')#wrap($input.path('$.n'))`, `<a><7>`},
		{"comments", "a## comment\n#* block *#b", `ab`},
		// Java
		{"strings", `#set($s = 'aXbX')$s.length() $s.contains('X') $s.startsWith('a') $s.endsWith('b') $s.indexOf('X') $s.substring(1) $s.substring(1,2) $s.toLowerCase() $s.isEmpty()`, `4 true true false 1 XbX X axbx false`},
		{"replace is literal, replaceAll is not", `#set($s = 'a.b')$s.replace('.', '$&') $s.replaceAll('.', 'x') $s.replaceAll('(a)\.(b)', '$2\\$1')`, `a$&b xxx b\a`},
		{"matches all of it", `#set($s = 'ab1')$s.matches('[a-z]+\d') $s.matches('[a-z]+')`, `true false`},
		{"a split string", `#set($s = 'a,b,,')#set($p = $s.split(','))$p $p.size() $p.get(1) $p[0]`, `[a, b] 2 b a`},
		{"lists", `#set($l = [1, 'a'])#set($_ = $l.add(true))$l $l.size() $l.contains('a') $l.isEmpty() $l.get(2) $l.indexOf('a')`, `[1, a, true] 3 true false true 1`},
		{"maps", `#set($m = {'a': 1})#set($_ = $m.put('b', [2]))$m $m.keySet() $m.containsKey('a') $m.get('x')$m.getOrDefault('x', 'd') $m.size() $m.isEmpty() $m.a $m['b'][0]`, `{a=1, b=[2]} [a, b] true d 2 false 1 2`},
		{"a key of JavaScript's own", `#set($m = {})#set($_ = $m.put('__proto__', 1))#set($m.constructor = 2)$m $m.toString() [$m.hasOwnProperty]`, `{__proto__=1, constructor=2} {__proto__=1, constructor=2} []`},
		{"numbers", `#set($Integer = 0)#set($x = $Integer.parseInt('12') + 1)$x $x.toString().length()`, `13 2`},
		{"equals", `#set($s = 'a')$s.equals('a') $s.equals(1) $s.equalsIgnoreCase('A')`, `true false true`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			compiled, err := r.compile(t.Context(), tt.template)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.render(t.Context(), compiled, input(document))
			if err != nil {
				t.Fatal(err)
			}
			if got.Output != tt.want {
				t.Errorf("\n got %s\nwant %s", got.Output, tt.want)
			}
		})
	}
}

func TestEmptyAndOtherBodies(t *testing.T) {
	r := newRenderer()
	defer r.close()
	for body, want := range map[string]string{
		"":         `{} {} ""`,
		"no JSON":  `no JSON "no JSON" ""`,
		"[1]":      `[1] [1] ""`,
		`"quoted"`: `"quoted" "quoted" ""`,
	} {
		got := render(t, r, `$input.body $input.json('$') $input.json('$.a')`, input(body))
		if got.Output != want {
			t.Errorf("%q: got %s, want %s", body, got.Output, want)
		}
	}
}

func TestOverrides(t *testing.T) {
	r := newRenderer()
	defer r.close()
	got := render(t, r, `#set($context.responseOverride.status = 503)#set($context.responseOverride.header.Retry-After = '1')
#set($context.responseOverride.header['X-B'] = ['a', 2])#set($context.requestOverride.header.X-C = 'c')`, input("{}"))
	if got.Status != 503 || got.Header["Retry-After"][0] != "1" || strings.Join(got.Header["X-B"], ",") != "a,2" || got.RequestHeader["X-C"][0] != "c" {
		t.Errorf("got %+v", got)
	}
	for _, ignored := range []string{`'503'`, `99`, `600`} {
		if got := render(t, r, `#set($context.responseOverride.status = `+ignored+`)`, input("{}")); got.Status != 0 {
			t.Errorf("status %s was not ignored: %d", ignored, got.Status)
		}
	}
}

func TestRefusedTemplates(t *testing.T) {
	r := newRenderer()
	defer r.close()
	for template, want := range map[string]string{
		`$input.path('$.s').reverse()`:        "knows no method reverse of a string",
		`$util.toJson('x')`:                   "knows no method toJson of a util",
		`$input.json('$.l[?(@.c == 5)]')`:     "JSON path $.l[?(@.c == 5)]",
		`$input.json('$.l[0:1]')`:             "JSON path $.l[0:1]",
		`$input.json('$.l.length()')`:         "JSON path $.l.length()",
		`$input.path('$.l').get(2)`:           "the list has 2 elements",
		`$input.path('$.s').substring(99)`:    "the string has 8 characters",
		`$input.path('$.s').matches('\p{L}')`: `regular expression ^(?:\p{L})$ is not supported`,
		`$util.parseJson('{')`:                "mapping template",
		`#nope('x')`:                          "#nope() is not defined",
		`#foreach($a in [1..1001])x#end`:      "API Gateway iterates over 1000 at most",
		`#set($x = null)`:                     "no literal null",
		`#set($nope.x = 1)`:                   "nothing to set there",
		`#set($context.responseOverride.status = 500)#set($context.responseOverride.status = 400)`: "$context.responseOverride.status is set twice",
		`#macro(m)#m()#end#m()`: "mapping template",
	} {
		compiled, err := r.compile(t.Context(), template)
		if err != nil {
			t.Errorf("%s does not compile: %v", template, err)
			continue
		}
		if _, err := r.render(t.Context(), compiled, input(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", template, err, want)
		}
	}
	if _, err := r.compile(t.Context(), "#if("); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a syntax error is %v, want its line", err)
	}
}

// TestHostileStrings checks that every string arrives unchanged: through $input.json, through escapeJavaScript, and in
// a JSON document that is itself a string.
func TestHostileStrings(t *testing.T) {
	r := newRenderer()
	defer r.close()
	compiled, err := r.compile(t.Context(), `#set($s = $input.path('$.s'))#set($m = {'k': $s})#foreach($x in [$s])
{"json": $input.json('$.s'), "escaped": "$util.escapeJavaScript($x).replaceAll("\\'", "'")",
 "whole": "$util.escapeJavaScript($input.json('$')).replaceAll("\\'", "'")", "map": "$util.escapeJavaScript($m.k).replaceAll("\\'","'")",
 "header": "$util.escapeJavaScript($input.params('h')).replaceAll("\\'","'")", "base64": "$util.base64Encode($s)"}#end`)
	if err != nil {
		t.Fatal(err)
	}
	pieces := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{`'`, `"`, `\`, `\\'`, `\"`, "\n", "\r\n", "\x00", "\u2028", "\ufeff", "$", "#", "$x", "${x}", "$input.body", "#set($x = 1)", "#end", "#if(", "##", "#*", "/", "</script>", "é", "\U0001F600", "{", "}", `\u0041`, "%"}),
	)
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(pieces, 0, 6).Draw(t, "pieces"), "")
		body, err := json.Marshal(map[string]string{"s": s})
		if err != nil {
			t.Fatal(err)
		}
		v := input(string(body))
		v.Params.Header["h"] = s
		got, err := r.render(context.Background(), compiled, v)
		if err != nil {
			t.Fatal(err)
		}
		var out struct{ JSON, Escaped, Whole, Map, Header, Base64 string }
		if err := json.Unmarshal([]byte(got.Output), &out); err != nil {
			t.Fatalf("no JSON: %v\n%s", err, got.Output)
		}
		var whole struct{ S string }
		if err := json.Unmarshal([]byte(out.Whole), &whole); err != nil {
			t.Fatalf("no JSON within the JSON: %v\n%s", err, out.Whole)
		}
		for name, arrived := range map[string]string{"$input.json": out.JSON, "escapeJavaScript": out.Escaped, "whole": whole.S, "map": out.Map, "header": out.Header} {
			if arrived != s {
				t.Errorf("%s: %q arrived as %q", name, s, arrived)
			}
		}
	})
}

// TestRunawayTemplate checks that an endless template is ended, and that the other renders are repeated.
func TestRunawayTemplate(t *testing.T) {
	r := newRenderer()
	defer r.close()
	runaway, err := r.compile(t.Context(), `$input.path('$.s').matches('(a+)+b')`)
	if err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	others.Go(func() {
		_, err := r.render(t.Context(), runaway, input(`{"s":"`+strings.Repeat("a", 60)+`"}`))
		if !errors.Is(err, errRenderTimeout) {
			t.Errorf("error is %v, want %v", err, errRenderTimeout)
		}
	})
	// The others wait behind the endless one, are lost with the process, and are rendered by the next process.
	time.Sleep(200 * time.Millisecond)
	for range 4 {
		others.Go(func() {
			if got := render(t, r, `$input.json('$')`, input(`{}`)); got.Output != "{}" {
				t.Errorf("got %s", got.Output)
			}
		})
	}
	others.Wait()
}

func TestRendererDies(t *testing.T) {
	r := newRenderer()
	defer r.close()
	render(t, r, `x`, input(`{}`))
	r.child.proc.Kill()
	if got := render(t, r, `$input.json('$')`, input(`{}`)); got.Output != "{}" {
		t.Errorf("got %s", got.Output)
	}
}

func TestConcurrentRenders(t *testing.T) {
	r := newRenderer()
	defer r.close()
	compiled, err := r.compile(t.Context(), `$input.json('$.s')`)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 16 {
		body := compact(map[string]string{"s": strings.Repeat(string(rune('a'+i)), 200_000)})
		all.Go(func() {
			for range 5 {
				got, err := r.render(t.Context(), compiled, input(body))
				if err != nil || `{"s":`+got.Output+`}` != body {
					t.Errorf("got %d bytes, %v", len(got.Output), err)
				}
			}
		})
	}
	all.Wait()
}

func render(t testing.TB, r *renderer, template string, v *variables) rendered {
	t.Helper()
	compiled, err := r.compile(t.Context(), template)
	if err != nil {
		t.Error(err)
		return rendered{}
	}
	got, err := r.render(t.Context(), compiled, v)
	if err != nil {
		t.Error(err)
	}
	return got
}
