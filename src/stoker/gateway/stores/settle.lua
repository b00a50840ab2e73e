-- Puts what a request used in the place of what was reserved for it. Returns 0 when it is not open.

local prefix, name = KEYS[1], ARGV[1]
local key = prefix .. 'open:' .. name

local function whole(number)
  return string.format('%.0f', number)
end

if redis.call('ZREM', prefix .. 'leases', name) == 0 then
  return 0
end
local one = redis.call('HMGET', key, 'second', 'tokens', 'worst', 'window')
redis.call('DEL', key)
if redis.call('HEXISTS', prefix .. 'tokens', one[1]) == 1 then
  local change = tonumber(ARGV[2]) - tonumber(one[2])
  redis.call('HINCRBY', prefix .. 'tokens', one[1], whole(change))
end
if redis.call('EXISTS', prefix .. one[4]) == 1 then
  redis.call('HINCRBY', prefix .. one[4], 'reserved', whole(0 - tonumber(one[3])))
  redis.call('HINCRBY', prefix .. one[4], 'spent', ARGV[3])
end
return 1
