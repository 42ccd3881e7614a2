-- Prints what wrk knows at its end, one word and one number a line.
function done(summary, latency, requests)
  local errors, slow = summary.errors, 0
  for i = 1, #latency do
    local value, count = latency(i)
    if value >= 200000 then slow = slow + count end
  end
  print("requests", summary.requests)
  print("refused", errors.connect)
  print("reset", errors.read + errors.write)
  print("busy", errors.status)
  print("stall", errors.timeout)
  print("slow", slow)
  print("p99", latency:percentile(99) / 1e6)
end
