package apigateway

import "testing"

// BenchmarkRender renders the request template of an order, which costs more than the response template.
func BenchmarkRender(b *testing.B) {
	r := newRenderer()
	defer r.close()
	var source string
	for _, resource := range orders(b) {
		if resource.LogicalID == "PostOrders" {
			source = resource.Properties["Integration"].(map[string]any)["RequestTemplates"].(map[string]any)[jsonType].(string)
		}
	}
	compiled, err := r.compile(b.Context(), source)
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		v := input(goodOrder)
		for pb.Next() {
			if _, err := r.render(b.Context(), compiled, v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRequest measures a whole request: two renders and a call of DynamoDB, which responds at once.
func BenchmarkRequest(b *testing.B) {
	g := start(b, options{})
	b.SetParallelism(8) // 16 clients on two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := g.do("POST", "/orders", goodOrder, "Idempotency-Key", "k"); got.status != 201 {
				b.Errorf("status is %d", got.status)
			}
		}
	})
}
