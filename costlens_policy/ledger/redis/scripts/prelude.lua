-- What every script begins with. Numbers in Lua are doubles: an amount is two limbs of base 1e15, each below 2^53.
--
-- KEYS[1] is the ledger's `meta`; all its keys share one hash tag, so those of accounts can be made from their names.
-- ARGV[1] is JSON: first the id that the ledger had when the client opened it, then the prefix of all keys, then what the script
-- is about. It is one argument, and an answer is mostly one text, because clients spend more time on many than the server does.

local ARGUMENTS = cjson.decode(ARGV[1])
local PREFIX = ARGUMENTS[2]
local LIMB = 1e15
local SECOND = 1e6
local BUCKETS = 120
local KEPT_BUCKETS = 360
local NEVER = 1e18
local PAIR = '%.0f:%.0f'
local END = '%.0f:%.0f:%.0f'

local meta = redis.call('HMGET', KEYS[1], 'id', 'ms', 'seq')
if meta[1] ~= ARGUMENTS[1] then
  return redis.error_reply('LEDGERGONE the ledger was emptied')
end

local function text(number)
  return string.format('%.0f', number)
end

local function plus(high, low, more_high, more_low)
  low = low + more_low
  high = high + more_high
  if low >= LIMB then
    return high + 1, low - LIMB
  end
  return high, low
end

local function minus(high, low, less_high, less_low)
  low = low - less_low
  high = high - less_high
  if low < 0 then
    return high - 1, low + LIMB
  end
  return high, low
end

local function at_most(high, low, limit_high, limit_low)
  return high < limit_high or (high == limit_high and low <= limit_low)
end

-- An account is kept as a list: limbs of used, limbs of held, generation of its holds, the earliest end of a lease, the present
-- bucket, the width of buckets (0 where its window does not roll); start, reset and length of its period, false where there is none.
local USED_HIGH, USED_LOW, HELD_HIGH, HELD_LOW, GENERATION, NEXT_END, BUCKET, WIDTH = 1, 2, 3, 4, 5, 6, 7, 8

-- Read an account. One that is new gets `span`: width of buckets, start, reset, length.
local function load(name, span)
  local kept = redis.call('GET', PREFIX .. 'a:' .. name)
  local account = { name = name, exists = kept and true or false, changed = false }
  if kept then
    account.row = cmsgpack.unpack(kept)
  else
    account.row = { 0, 0, 0, 0, 0, NEVER, -1, span and span[1] or 0, span and span[2], span and span[3], span and span[4] }
  end
  return account
end

-- Write an account back, if it has changed.
local function save(account)
  if not account.changed then
    return
  end
  if not account.exists then
    redis.call('ZADD', PREFIX .. 'accounts', 0, account.name)
  end
  redis.call('SET', PREFIX .. 'a:' .. account.name, cmsgpack.pack(account.row))
  account.exists, account.changed = true, false
end

-- The generation and the limbs of what is held until one second.
local function end_parts(value)
  local generation, high, low = string.match(value, '^(%d+):(%d+):(%d+)$')
  return tonumber(generation), tonumber(high), tonumber(low)
end

local function bucket_parts(value)
  local high, low = string.match(value, '^(%d+):(%d+)$')
  return tonumber(high), tonumber(low)
end

local function free(account, second)
  local row, key = account.row, PREFIX .. 'x:' .. account.name
  local ends = redis.call('HGETALL', key)
  row[NEXT_END] = NEVER
  for index = 1, #ends, 2 do
    local ends_at = tonumber(ends[index])
    if ends_at <= second then
      local _, high, low = end_parts(ends[index + 1])
      row[HELD_HIGH], row[HELD_LOW] = minus(row[HELD_HIGH], row[HELD_LOW], high, low)
      redis.call('HDEL', key, ends[index])
    elseif ends_at < row[NEXT_END] then
      row[NEXT_END] = ends_at
    end
  end
  row[GENERATION] = row[GENERATION] + 1
  account.changed = true
end

-- What counts in a rolling window while `bucket` is the present one, and which buckets there are.
local function used_in_window(account, bucket)
  local high, low, buckets = 0, 0, {}
  local kept = redis.call('HGETALL', PREFIX .. 'b:' .. account.name)
  for index = 1, #kept, 2 do
    local number = tonumber(kept[index])
    buckets[#buckets + 1] = number
    if number >= bucket - BUCKETS then
      high, low = plus(high, low, bucket_parts(kept[index + 1]))
    end
  end
  return high, low, buckets
end

local function roll(account, bucket)
  local high, low, buckets = used_in_window(account, bucket)
  if #buckets > KEPT_BUCKETS then
    table.sort(buckets)
    for index = 1, #buckets - KEPT_BUCKETS do
      redis.call('HDEL', PREFIX .. 'b:' .. account.name, text(buckets[index]))
    end
  end
  local row = account.row
  row[USED_HIGH], row[USED_LOW], row[BUCKET] = high, low, bucket
  account.changed = account.exists
end

-- Free what has expired, and move a rolling window to `now`, in microseconds.
local function move(account, now)
  local row = account.row
  if now >= row[NEXT_END] * SECOND then
    free(account, math.floor(now / SECOND))
  end
  if row[WIDTH] > 0 and math.floor(now / row[WIDTH]) ~= row[BUCKET] then
    roll(account, math.floor(now / row[WIDTH]))
  end
  return account
end

-- Hold until a second. Returns the generation by which the hold is known.
local function hold(account, second, high, low)
  local row, key, field = account.row, PREFIX .. 'x:' .. account.name, text(second)
  local generation, end_high, end_low = row[GENERATION], high, low
  local kept = redis.call('HGET', key, field)
  if kept then
    generation, end_high, end_low = end_parts(kept)
    end_high, end_low = plus(end_high, end_low, high, low)
  end
  redis.call('HSET', key, field, string.format(END, generation, end_high, end_low))
  row[HELD_HIGH], row[HELD_LOW] = plus(row[HELD_HIGH], row[HELD_LOW], high, low)
  if second < row[NEXT_END] then
    row[NEXT_END] = second
  end
  account.changed = true
  return generation
end

-- Whether what was held until a second has not been freed.
local function counts(account, second, generation)
  local kept = redis.call('HGET', PREFIX .. 'x:' .. account.name, text(second))
  return kept and end_parts(kept) == generation
end

-- Give back what is held; false where it has been freed already.
local function unhold(account, second, generation, high, low)
  local row, key, field = account.row, PREFIX .. 'x:' .. account.name, text(second)
  local kept = redis.call('HGET', key, field)
  if not kept then
    return false
  end
  local of, end_high, end_low = end_parts(kept)
  if of ~= generation then
    return false
  end
  end_high, end_low = minus(end_high, end_low, high, low)
  redis.call('HSET', key, field, string.format(END, of, end_high, end_low))
  row[HELD_HIGH], row[HELD_LOW] = minus(row[HELD_HIGH], row[HELD_LOW], high, low)
  account.changed = true
  return true
end

local function charge(account, high, low, at)
  local row = account.row
  row[USED_HIGH], row[USED_LOW] = plus(row[USED_HIGH], row[USED_LOW], high, low)
  account.changed = true
  if row[WIDTH] > 0 then
    local key, field = PREFIX .. 'b:' .. account.name, text(math.floor(at / row[WIDTH]))
    local kept = redis.call('HGET', key, field)
    if kept then
      high, low = plus(high, low, bucket_parts(kept))
    end
    redis.call('HSET', key, field, string.format(PAIR, high, low))
  end
end

-- The limit in force, with what was granted on top of it or instead.
local function limit_in_force(scope, period, now, high, low)
  local grants = redis.call('GET', PREFIX .. 'g:' .. scope)
  if not grants then
    return high, low
  end
  local top_high, top_low = 0, 0
  for _, grant in ipairs(cjson.decode(grants)) do
    local kind, grant_high, grant_low, ends_at, of = grant[1], grant[2], grant[3], grant[4], grant[5]
    if ends_at == cjson.null or now < ends_at then
      if kind == 'override' then
        high, low = grant_high, grant_low
      elseif of == period then
        top_high, top_low = plus(top_high, top_low, grant_high, grant_low)
      end
    end
  end
  return plus(high, low, top_high, top_low)
end

-- A call is kept as a list: when reserved, end of its lease (false where it was never held), facts, lines (name, limbs of amount,
-- limit, used and held before, generation), whether released, when settled, whether late, lines charged, id of its entry.
local AT, ENDS_AT, FACTS, LINES, RELEASED, SETTLED_AT, LATE, CHARGED, ENTRY = 1, 2, 3, 4, 5, 6, 7, 8, 9

local function load_call(key)
  local kept = redis.call('GET', key)
  return kept and cmsgpack.unpack(kept)
end

-- Write a call, to be remembered for so many milliseconds.
local function save_call(key, call, remember)
  redis.call('SET', key, cmsgpack.pack(call), 'PX', text(remember))
end

-- Write one entry for each line: name, limbs of the amount, limbs of what had been held. Ids follow a clock that never goes back.
local function add_entries(at, kind, source, late, facts, more_facts, lines, longest)
  local ms, last, sequence = math.floor(at / 1000), tonumber(meta[2] or 0), 0
  if ms <= last then
    ms, sequence = last, tonumber(meta[3]) + 1
  end
  redis.call('HSET', KEYS[1], 'ms', text(ms), 'seq', sequence)
  local id, flat = string.format('%.0f-%.0f', ms, sequence), {}
  for index, line in ipairs(lines) do
    flat[index] = string.format('%s\0%.0f\0%.0f\0%.0f\0%.0f', line[1], line[2], line[3], line[4], line[5])
    redis.call('XADD', PREFIX .. 'e:' .. line[1], 'MAXLEN', '~', longest, id, '', '')
  end
  redis.call('XADD', PREFIX .. 'e', 'MAXLEN', '~', longest, id, 'at', text(at), 'kind', kind, 'source', source,
    'late', late and '1' or '', 'facts', facts, 'more', more_facts, 'lines', table.concat(flat, '\0'))
  return id
end
