"""What the proxies have counted, in the words of Istio and of Linkerd."""
