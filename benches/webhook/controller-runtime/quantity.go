package main

import "k8s.io/apimachinery/pkg/api/resource"

func limit() *resource.Quantity {
	size := resource.MustParse("128Mi")
	return &size
}
