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

dofile(debug.getinfo(1, "S").source:match("@?(.*/)") .. "counted.lua")
