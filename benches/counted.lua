-- For wrk scripts: prints what was counted as one line of JSON.
function done(summary, latency)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"answers": %d, "refused": %d, "lost": %d, "duration_sec": %.6f, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.errors.status, lost, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
