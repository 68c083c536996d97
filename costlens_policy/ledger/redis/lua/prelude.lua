-- What every script begins with. Numbers in Lua are doubles: an amount is two limbs of base 1e15, each below 2^53.
--
-- KEYS[1] is the clock: a text of the ledger's id, and of milliseconds, number within them, and number of all entries that were made.
-- All keys of a ledger share one hash tag, so those of accounts can be made from their names. ARGV[1] is the id that the ledger had
-- when the client opened it, and texts; each ends with a zero byte. ARGV[2] is numbers, as doubles. Answers are one text where
-- possible: clients spend more time on many small values than the server does, and formatting them costs more than reading keys.

local call, format, floor = redis.call, string.format, math.floor
local ID = 16
local clock = call('GET', KEYS[1])
if not clock or string.sub(clock, 1, ID) ~= string.sub(ARGV[1], 1, ID) then
  return redis.error_reply('LEDGERGONE the ledger was emptied')
end

local PREFIX = string.sub(KEYS[1], 1, -6)
local LIMB = 1e15
local SECOND = 1e6
local BUCKETS = 120
local KEPT_BUCKETS = 360
local CLOCKS = 16
local STEP = 60
local KEPT_WINDOWS = 16
local NEVER = 1e18
local NUMBERS = { struct.unpack('>' .. string.rep('d', #ARGV[2] / 8), ARGV[2]) }

-- Texts of ARGV[1], one after the other.
local next_text = string.gmatch(string.sub(ARGV[1], ID + 2), '([^%z]*)%z')

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

-- An account is kept as doubles: limbs of used, limbs of held, generation of its holds, the earliest end of a lease, the current bucket
-- (-1 for none), the width of buckets (0 where its window does not roll); start, reset and length of its period, -1 where there is none.
-- The width of a window from first use is its length, less than nothing, and its buckets are windows, under the microsecond at which
-- each began.
local ACCOUNT = '>ddddddddddd'
local USED_HIGH, USED_LOW, HELD_HIGH, HELD_LOW, GENERATION, NEXT_END, BUCKET, WIDTH, START = 1, 2, 3, 4, 5, 6, 7, 8, 9

-- Read an account. For one that is new, its width, start, reset and length are NUMBERS from `span` on.
local function load(name, span)
  local kept = call('GET', PREFIX .. 'a:' .. name)
  if kept then
    local account = { struct.unpack(ACCOUNT, kept) }
    account.name, account.exists = name, true
    return account
  elseif call('ZSCORE', PREFIX .. 'accounts', name) then
    error('LEDGERLOST an account was dropped')
  elseif span then
    return { 0, 0, 0, 0, 0, NEVER, -1, NUMBERS[span], NUMBERS[span + 1], NUMBERS[span + 2], NUMBERS[span + 3], name = name }
  end
  return { 0, 0, 0, 0, 0, NEVER, -1, 0, -1, -1, -1, name = name }
end

-- Write an account back, if it has changed.
local function save(account)
  if account.changed then
    if not account.exists then
      call('ZADD', PREFIX .. 'accounts', 0, account.name)
      account.exists = true
      if account.clocks then
        call('SET', PREFIX .. 'w:' .. account.name, table.concat(account.clocks, ' '))
      end
    end
    call('SET', PREFIX .. 'a:' .. account.name, struct.pack(ACCOUNT, unpack(account, 1, 11)))
    account.changed = false
  end
end

local function free(account, second)
  local key = PREFIX .. 'x:' .. account.name
  local ends = call('HGETALL', key)
  account[NEXT_END] = NEVER
  for index = 1, #ends, 2 do
    local ends_at = tonumber(ends[index])
    if ends_at <= second then
      local _, high, low = struct.unpack('>ddd', ends[index + 1])
      account[HELD_HIGH], account[HELD_LOW] = minus(account[HELD_HIGH], account[HELD_LOW], high, low)
      call('HDEL', key, ends[index])
    elseif ends_at < account[NEXT_END] then
      account[NEXT_END] = ends_at
    end
  end
  account[GENERATION] = account[GENERATION] + 1
  account.changed = true
end

-- What counts in a rolling window while `bucket` is the current one, and which buckets there are.
local function used_in_window(account, bucket)
  local high, low, buckets = 0, 0, {}
  local kept = call('HGETALL', PREFIX .. 'b:' .. account.name)
  for index = 1, #kept, 2 do
    local number = tonumber(kept[index])
    buckets[#buckets + 1] = number
    if number >= bucket - BUCKETS then
      local more_high, more_low = struct.unpack('>dd', kept[index + 1])
      high, low = plus(high, low, more_high, more_low)
    end
  end
  return high, low, buckets
end

-- The clocks of an account, the latest asked last, once one of them has shown a bucket; see `buckets.py`.
local function clocks_after(account, bucket)
  local key = PREFIX .. 'w:' .. account.name
  local kept, before, clocks = call('GET', key), nil, {}
  for clock in string.gmatch(kept or (account[BUCKET] >= 0 and format('%d', account[BUCKET]) or ''), '%-?%d+') do
    clock = tonumber(clock)
    clocks[#clocks + 1] = clock
    if bucket - STEP <= clock and clock <= bucket and (not before or clock > before) then
      before = clock
    end
  end
  local after, texts = {}, {}
  for _, clock in ipairs(clocks) do
    if clock ~= before then
      after[#after + 1] = clock
    end
  end
  after[#after + 1] = bucket
  if #after > CLOCKS then
    table.remove(after, 1)
  end
  for index, clock in ipairs(after) do
    texts[index] = format('%d', clock)
  end
  if account.exists then
    call('SET', key, table.concat(texts, ' '))
  else
    account.clocks = texts
  end
  return after
end

-- Whether a bucket is too old for each clock that is not behind it.
local function may_go(bucket, clocks)
  local latest = clocks[1]
  for _, clock in ipairs(clocks) do
    if clock - KEPT_BUCKETS < bucket and bucket <= clock then
      return false
    end
    latest = math.max(latest, clock)
  end
  return bucket <= latest
end

local function roll(account, bucket)
  local high, low, buckets = used_in_window(account, bucket)
  local clocks = clocks_after(account, bucket)
  if #buckets > KEPT_BUCKETS then
    for _, number in ipairs(buckets) do
      if may_go(number, clocks) then
        call('HDEL', PREFIX .. 'b:' .. account.name, format('%d', number))
      end
    end
  end
  account[USED_HIGH], account[USED_LOW], account[BUCKET] = high, low, bucket
  account.changed = account.exists
end

-- When the window from first use began that counts at `now` (-1 for none), and what it has used; see `account.py`.
local function window_at(account, now)
  local length, start, high, low = -account[WIDTH], -1, 0, 0
  local kept = call('HGETALL', PREFIX .. 'b:' .. account.name)
  for index = 1, #kept, 2 do
    local at = tonumber(kept[index])
    if now - length < at and at < now + length and (at <= now or start < 0 or start > now and at < start) then
      start = at
      high, low = struct.unpack('>dd', kept[index + 1])
    end
  end
  return start, high, low
end

local function enter_window(account, now)
  local start = account[BUCKET]
  if start >= 0 and start <= now and now < start - account[WIDTH] then
    return
  end
  account[BUCKET], account[USED_HIGH], account[USED_LOW] = window_at(account, now)
  account.changed = account.exists
end

-- Begin a window from first use, unless one is in force.
local function begin(account, now)
  if account[WIDTH] >= 0 or account[BUCKET] >= 0 then
    return
  end
  local key, starts = PREFIX .. 'b:' .. account.name, {}
  for _, start in ipairs(call('HKEYS', key)) do
    starts[#starts + 1] = tonumber(start)
  end
  table.sort(starts)
  for index = 1, #starts + 1 - KEPT_WINDOWS do
    call('HDEL', key, format('%d', starts[index]))
  end
  call('HSET', key, format('%d', now), struct.pack('>dd', 0, 0))
  account[BUCKET], account[USED_HIGH], account[USED_LOW], account.changed = now, 0, 0, true
end

-- Free what has expired, and make a window that of `now`, in microseconds.
local function move(account, now)
  if now >= account[NEXT_END] * SECOND then
    free(account, floor(now / SECOND))
  end
  if account[WIDTH] > 0 and floor(now / account[WIDTH]) ~= account[BUCKET] then
    roll(account, floor(now / account[WIDTH]))
  elseif account[WIDTH] < 0 then
    enter_window(account, now)
  end
  return account
end

-- What an account holds until one second is kept as doubles: generation, and limbs; limbs of what of that is set aside for shares follow,
-- where anything was.
local HELD = 24

-- Hold until a second. Returns the generation by which the hold is known.
local function hold(account, second, high, low)
  local key, field = PREFIX .. 'x:' .. account.name, format('%d', second)
  local kept = call('HGET', key, field)
  local generation, end_high, end_low = account[GENERATION], high, low
  if kept then
    generation, end_high, end_low = struct.unpack('>ddd', kept)
    end_high, end_low = plus(end_high, end_low, high, low)
  end
  call('HSET', key, field, struct.pack('>ddd', generation, end_high, end_low) .. string.sub(kept or '', HELD + 1))
  account[HELD_HIGH], account[HELD_LOW] = plus(account[HELD_HIGH], account[HELD_LOW], high, low)
  if second < account[NEXT_END] then
    account[NEXT_END] = second
  end
  account.changed = true
  return generation
end

-- Give back what is held; false where it has been freed already.
local function unhold(account, second, generation, high, low)
  local key, field = PREFIX .. 'x:' .. account.name, format('%d', second)
  local kept = call('HGET', key, field)
  if not kept then
    return false
  end
  local of, end_high, end_low = struct.unpack('>ddd', kept)
  if of ~= generation then
    return false
  end
  end_high, end_low = minus(end_high, end_low, high, low)
  call('HSET', key, field, struct.pack('>ddd', of, end_high, end_low) .. string.sub(kept, HELD + 1))
  account[HELD_HIGH], account[HELD_LOW] = minus(account[HELD_HIGH], account[HELD_LOW], high, low)
  account.changed = true
  return true
end

local function charge(account, high, low, at)
  if account[WIDTH] < 0 and (high ~= 0 or low ~= 0) then
    enter_window(account, at)
    begin(account, at)
  end
  account[USED_HIGH], account[USED_LOW] = plus(account[USED_HIGH], account[USED_LOW], high, low)
  account.changed = true
  if account[WIDTH] > 0 then
    local key, field = PREFIX .. 'b:' .. account.name, format('%d', floor(at / account[WIDTH]))
    local kept = call('HGET', key, field)
    if kept then
      local kept_high, kept_low = struct.unpack('>dd', kept)
      high, low = plus(high, low, kept_high, kept_low)
    end
    call('HSET', key, field, struct.pack('>dd', high, low))
  elseif account[BUCKET] >= 0 and account[WIDTH] < 0 then
    local key, field = PREFIX .. 'b:' .. account.name, format('%d', account[BUCKET])
    call('HSET', key, field, struct.pack('>dd', account[USED_HIGH], account[USED_LOW]))
  end
end

-- Make what is used nothing, before something else is charged instead.
local function clear(account)
  account[USED_HIGH], account[USED_LOW], account.changed = 0, 0, true
  if account[WIDTH] >= 0 then
    call('DEL', PREFIX .. 'b:' .. account.name)
  elseif account[BUCKET] >= 0 then
    call('HSET', PREFIX .. 'b:' .. account.name, format('%d', account[BUCKET]), struct.pack('>dd', 0, 0))
  end
end

-- A call is kept as a text, each part of which ends with a zero byte: when reserved, end of its lease ('' where it was never held),
-- whether released, when settled, whether late, id of its entry, facts, length of what follows; then the lines held, each as name, limbs
-- of amount, limit (-1 for none), used and held before, generation; and the lines charged, each as name, limbs of amount, of what had
-- been held, of used and held after, whether charged.
local CALL = '^(%d+)%z(%d*)%z(%d*)%z(%d*)%z(%d*)%z([%d-]*)%z([^%z]*)%z(%d+)%z(.*)$'
local HELD_LINE = '([^%z]*)%z(%d+)%z(%d+)%z%-?%d+%z%d+%z%d+%z%d+%z%d+%z%d+%z(%d+)%z'

local function save_call(key, remember, at, ends_at, released, settled_at, late, entry, facts, held, charged)
  local kept = format('%d\0%s\0%s\0%s\0%s\0%s\0%s\0%d\0', at, ends_at, released, settled_at, late, entry, facts, #held)
  call('SET', key, kept .. held .. charged, 'PX', format('%d', remember))
end

-- What is set aside for shares; see `shares.py`. A call that draws on shares is marked where others say whether they were late, and has
-- under `d:` what it does to lines (place, limbs of what was set aside for its shares, of what is drawn, of what is set aside in addition),
-- and behind a bar what it draws (place, name of the account that has the share, limbs). The functions are made where they are used.
local SHARED = '2'
local DRAW = '(%d+)%z([^%z]*)%z(%d+)%z(%d+)%z'

local function sharing(now, remember)
  local it = {}

  local function less(high, low, other_high, other_low)
    return high < other_high or high == other_high and low < other_low
  end

  local function difference(high, low, less_high, less_low)
    if less(high, low, less_high, less_low) then
      return 0, 0
    end
    return minus(high, low, less_high, less_low)
  end

  function it.least(high, low, other_high, other_low)
    if less(other_high, other_low, high, low) then
      return other_high, other_low
    end
    return high, low
  end

  -- The end of a lease, in seconds; see `account.py`.
  local function lease_end(lease)
    local grid = math.max(1, math.ceil(lease / 1.2e8))
    local rest = math.fmod(now + lease, grid * SECOND)
    return (now + lease - rest) / SECOND + (rest > 0 and grid or 0)
  end

  local function aside(account, second, change, high, low)
    local key, field = PREFIX .. 'x:' .. account.name, format('%d', second)
    local kept = call('HGET', key, field)
    local aside_high, aside_low = 0, 0
    if #kept > HELD then
      aside_high, aside_low = struct.unpack('>dd', kept, HELD + 1)
    end
    call('HSET', key, field, string.sub(kept, 1, HELD) .. struct.pack('>dd', change(aside_high, aside_low, high, low)))
  end

  -- What an account has set aside for shares.
  function it.set_aside(name)
    local high, low = 0, 0
    if call('EXISTS', PREFIX .. 'p:' .. name) == 1 then
      local ends = call('HGETALL', PREFIX .. 'x:' .. name)
      for index = 1, #ends, 2 do
        if tonumber(ends[index]) > floor(now / SECOND) and #ends[index + 1] > HELD then
          high, low = plus(high, low, struct.unpack('>dd', ends[index + 1], HELD + 1))
        end
      end
    end
    return high, low
  end

  -- What is known of the share that an account has; nothing where nothing is.
  local function known(owner)
    local name, second, generation, high, low, lease, ends =
      string.match(call('GET', PREFIX .. 's:' .. owner) or '', '^([^%z]*)%z(%d+)%z(%d+)%z(%d+)%z(%d+)%z(%d+)%z(.*)$')
    return name and { of = name, second = tonumber(second), generation = tonumber(generation), high = tonumber(high), low = tonumber(low),
      lease = tonumber(lease), ends = ends }
  end

  -- The share that an account has, of the account `of` if that is given; nothing where none lives.
  function it.find(owner, of)
    local share = known(owner)
    if not share or of and of ~= share.of or share.second <= floor(now / SECOND) then
      return nil
    end
    local entry = call('HGET', PREFIX .. 'x:' .. share.of, format('%d', share.second))
    return entry and struct.unpack('>d', entry) == share.generation and share or nil
  end

  -- Let so much be left of a share that lives or begins, and its lease begin anew.
  function it.put(owner, of, share, high, low)
    if share.second then
      aside(of, share.second, minus, share.high, share.low)
      unhold(of, share.second, share.generation, share.high, share.low)
    end
    share.second = math.max(share.second or 0, lease_end(share.lease))
    share.generation = hold(of, share.second, high, low)
    aside(of, share.second, plus, high, low)
    local kept_for = format('%d', share.second * 1000 - floor(now / 1000) + remember)
    call('SET', PREFIX .. 's:' .. owner, format('%s\0%d\0%d\0%d\0%d\0%d\0', of.name, share.second, share.generation, high, low, share.lease)
      .. share.ends, 'PX', kept_for)
    call('SET', PREFIX .. 'p:' .. of.name, '', 'PX', kept_for)
    for id in string.gmatch(share.ends, '([^%z]*)%z') do
      call('SADD', PREFIX .. 'u:' .. id, owner)
      call('PEXPIRE', PREFIX .. 'u:' .. id, kept_for)
    end
  end

  -- Put what a call drew for a line and did not use back into its shares, or let their leases begin anew.
  function it.put_back(id, place, of, charged_high, charged_low, held_high, held_low)
    local known = string.match(call('GET', PREFIX .. 'd:' .. id) or '', '|(.*)$') or ''
    for at, owner, high, low in string.gmatch(known, DRAW) do
      local share = tonumber(at) == place and it.find(owner, of.name)
      if share then
        local left_high, left_low = share.high, share.low
        if charged_high then
          left_high, left_low = plus(left_high, left_low, difference(tonumber(high), tonumber(low), charged_high, charged_low))
          left_high, left_low = difference(left_high, left_low, difference(charged_high, charged_low, held_high, held_low))
        end
        it.put(owner, of, share, left_high, left_low)
      end
    end
  end

  local function give_back(share, account)
    if unhold(account, share.second, share.generation, share.high, share.low) then
      aside(account, share.second, minus, share.high, share.low)
    end
  end

  -- Give back what is left of the share that an account has of another one than `of`. `accounts` are at hand.
  function it.leave(owner, of, accounts)
    local share = known(owner)
    if not share or share.of == of then
      return
    end
    for _, account in ipairs(accounts) do
      if account.name == share.of then
        give_back(share, account)
        return
      end
    end
    local account = move(load(share.of), now)
    give_back(share, account)
    save(account)
  end

  -- Give back what is left of the shares that a call ends.
  function it.finish(id)
    for _, owner in ipairs(call('SMEMBERS', PREFIX .. 'u:' .. id)) do
      local share = known(owner)
      if share and string.find('\0' .. share.ends, '\0' .. id .. '\0', 1, true) then
        local of = move(load(share.of), now)
        give_back(share, of)
        save(of)
        call('DEL', PREFIX .. 's:' .. owner)
      end
    end
    call('DEL', PREFIX .. 'u:' .. id)
  end

  return it
end

-- Write the entry of a call or an adjustment. Ids follow a clock that never goes back. The history is cut to `longest` now and then.
local function add_entry(at, kind, source, late, facts, more_facts, lines, names, longest)
  local id, last, number, made = string.match(clock, '^(%x+):(%d+):(%d+):(%d+)$')
  local ms = floor(at / 1000)
  number, made = tonumber(number) + 1, tonumber(made) + 1
  if ms > tonumber(last) then
    last, number = format('%d', ms), 0
  end
  call('SET', KEYS[1], format('%s:%s:%d:%d', id, last, number, made))
  local entry = format('%s-%d', last, number)
  local content = format('%d\0%s\0%s\0%s\0%s\0%s\0', at, kind, source, late, facts, more_facts) .. lines
  call('XADD', PREFIX .. 'e', entry, 'd', content)
  for _, name in ipairs(names) do
    call('XADD', PREFIX .. 'e:' .. name, entry, '', '')
  end
  if made % 64 == 0 then
    call('XTRIM', PREFIX .. 'e', 'MAXLEN', '~', longest)
    for _, name in ipairs(names) do
      call('XTRIM', PREFIX .. 'e:' .. name, 'MAXLEN', '~', longest)
    end
  end
  return entry
end
