-- wrk script: POST /v1/messages/send round robin over the senders of a file, a "token chat_id" a line.
-- Prints what was counted as one line of JSON.
local requests, turn = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local token, chat = line:match("(%S+) (%S+)")
    local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
    local body = '{"message": {"chat_id": "' .. chat .. '", "payload": "Hello there, how are you?"}}'
    table.insert(requests, wrk.format("POST", "/v1/messages/send", headers, body))
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '{"answers": %d, "refused": %d, "lost": %d, "duration_sec": %.6f, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.errors.status, lost, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
