-- Reserves a request's worst case, or says why not. The twin of Limits.reserve in gateway/limits.py.
-- Returns {refusal, output tokens, seconds to wait, then record, output and cost of each expired one}.

local prefix = KEYS[1]
local name, record = ARGV[1], ARGV[14]
local wall, seconds, window = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local concurrency, requests, tokens = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local budget = tonumber(ARGV[8])
local input, wanted, least = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local prompt_cost, output_price = tonumber(ARGV[12]), tonumber(ARGV[13])
local counts = tonumber(ARGV[15])

local SLOTS = 60
local KEPT = { hour = 172800, day = 864000, week = 2592000, month = 8640000 }
local leases = prefix .. 'leases'

local function whole(number)
  return string.format('%.0f', number)
end

-- The fronts' clocks may differ; time here never runs backwards.
local now = math.max(wall, tonumber(redis.call('GET', prefix .. 'now') or '0'))
redis.call('SET', prefix .. 'now', string.format('%.6f', now), 'EX', 3600)

local expired = {}
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 100)) do
  local key = prefix .. 'open:' .. gone
  local one = redis.call('HMGET', key, 'record', 'output', 'worst', 'window')
  redis.call('ZREM', leases, gone)
  redis.call('DEL', key)
  if redis.call('EXISTS', prefix .. one[4]) == 1 then
    redis.call('HINCRBY', prefix .. one[4], 'reserved', whole(0 - tonumber(one[3])))
    redis.call('HINCRBY', prefix .. one[4], 'spent', one[3])
  end
  for part = 1, 3 do
    expired[#expired + 1] = one[part]
  end
end

local function answer(refusal, output, after)
  local found = { refusal, whole(output), string.format('%.6f', after) }
  for _, part in ipairs(expired) do
    found[#found + 1] = part
  end
  return found
end

-- The slots of the last minute, oldest first, and their sum.
local function minute(key)
  local slots, total, all = {}, 0, redis.call('HGETALL', key)
  for index = 1, #all, 2 do
    local second, amount = tonumber(all[index]), tonumber(all[index + 1])
    if second < math.floor(now) - SLOTS then
      redis.call('HDEL', key, all[index])
    else
      slots[#slots + 1] = { second, amount }
      total = total + amount
    end
  end
  table.sort(slots, function(a, b) return a[1] < b[1] end)
  return slots, total
end

local function seconds_until(slots, over)
  for _, slot in ipairs(slots) do
    over = over - slot[2]
    if over <= 0 then
      return slot[1] + SLOTS + 1 - now
    end
  end
  return 0
end

local function tokens_for(money)
  if money < 0 then
    return -1
  end
  if output_price == 0 then
    return wanted
  end
  return math.min(wanted, math.floor(money / output_price))
end

local known = redis.call('HGET', prefix .. 'open:' .. name, 'output')
if known then
  return answer('', tonumber(known), 0)
end

local output = wanted
if concurrency > 0 and redis.call('ZCARD', leases) >= concurrency then
  return answer('concurrency', 0, 1)
end
local slots, total = minute(prefix .. 'requests')
if requests > 0 and total + counts > requests then
  return answer('requests', 0, seconds_until(slots, total + counts - requests))
end
if budget > 0 then
  local money = redis.call('HMGET', prefix .. window, 'spent', 'reserved')
  local left = budget - tonumber(money[1] or '0') - prompt_cost
  local later = tokens_for(left)
  if later < math.min(wanted, 1) then
    return answer('budget', 0, 0)
  end
  output = tokens_for(left - tonumber(money[2] or '0'))
  if output < later and output < math.min(wanted, least) then
    return answer('held', 0, 1)
  end
end
slots, total = minute(prefix .. 'tokens')
if tokens > 0 then
  local needed = input + math.min(output, least)
  if needed > tokens then
    return answer('too_long', 0, SLOTS)
  end
  if tokens - total < needed then
    return answer('tokens', 0, seconds_until(slots, total + needed - tokens))
  end
  output = math.min(output, tokens - total - input)
end

local second, worst = whole(math.floor(now)), whole(prompt_cost + output * output_price)
redis.call('HINCRBY', prefix .. 'requests', second, counts)
redis.call('EXPIRE', prefix .. 'requests', 2 * SLOTS)
redis.call('HINCRBY', prefix .. 'tokens', second, whole(input + output))
redis.call('EXPIRE', prefix .. 'tokens', 2 * SLOTS)
redis.call('HINCRBY', prefix .. window, 'reserved', worst)
local kept = KEPT[string.match(window, '^%a+')]
if kept then
  redis.call('EXPIRE', prefix .. window, kept)
end
redis.call('ZADD', leases, now + seconds, name)
redis.call('HSET', prefix .. 'open:' .. name, 'second', second, 'tokens', whole(input + output),
  'output', whole(output), 'worst', worst, 'window', window, 'record', record)
return answer('', output, 0)
