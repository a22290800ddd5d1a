-- wrk script: publishes to nchan, round robin over as many channels as the argument says. Counts as send.lua does.
local channels, turn = 1, 0
local headers = { ["Content-Type"] = "application/json" }
local body = '{"message": {"chat_id": "pc:0123456789abcdef", "payload": "Hello there, how are you?"}}'

function init(args)
  channels = tonumber(args[1])
end

function request()
  turn = turn % channels + 1
  return wrk.format("POST", "/publish?channel=" .. turn, headers, body)
end

dofile(debug.getinfo(1, "S").source:match("@?(.*/)") .. "counted.lua")
