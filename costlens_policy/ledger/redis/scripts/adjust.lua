-- Record an adjustment, once. KEYS: meta, the adjustment, the grants of its scope.
-- ARGV from 3 on: id, now, kind, limbs of the amount, facts, milliseconds to remember it, entries to keep; the grants that the client
-- saw, and those to put there instead; name, start, reset, length, width of its buckets.
-- Returns what happened ('adjusted', 'known', 'changed' where others were there first), limbs of used and held, and the grants.
local known = redis.call('HMGET', KEYS[2], 'balance', 'grants')
if known[1] then
  return { 'known', cmsgpack.unpack(known[1]), known[2] }
end
if (redis.call('GET', KEYS[3]) or '') ~= ARGV[11] then
  return { 'changed' }
end

local now, high, low = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[7])
local account = load(ARGV[13], 0)
account.width = tonumber(ARGV[17])
move(account, now)
account.changed = true
if ARGV[5] == 'set' then
  local used_high, used_low = account.used_high, account.used_low
  account.used_high, account.used_low = high, low
  if account.width > 0 then
    local _, _, buckets = used_in_window(account, 0)
    for _, bucket in ipairs(buckets) do
      redis.call('HDEL', account.key, 'b' .. text(bucket))
    end
    set_field(account, 'b' .. text(bucket_at(account, now)), text(high) .. ':' .. text(low))
  end
  high, low = minus(high, low, used_high, used_low)
elseif ARGV[12] ~= ARGV[11] then
  redis.call('SET', KEYS[3], ARGV[12])
end
save(account, span_at(14))

local balance = { account.used_high, account.used_low, account.held_high, account.held_low }
local entry = add_entries(now, ARGV[5], ARGV[3], '', ARGV[8], '{}', { { account.name, text(high), text(low), '0', '0' } }, ARGV[10])
redis.call('HSET', KEYS[2], 'balance', cmsgpack.pack(balance), 'grants', ARGV[12], 'entry', entry)
redis.call('PEXPIREAT', KEYS[2], text(math.floor(now / 1000) + tonumber(ARGV[9])))
return { 'adjusted', balance, ARGV[12] }
