-- Read accounts, changing nothing. KEYS: meta. ARGV from 3 on: now, then for each account its name and its scope.
-- Returns for each: limbs of used and of held, and the grants of its scope.
local now = tonumber(ARGV[3])
local second = math.floor(now / SECOND)
local found = {}
for index = 4, #ARGV, 2 do
  local account = load(ARGV[index], 0)
  local used_high, used_low = account.used_high, account.used_low
  local held_high, held_low = account.held_high, account.held_low
  if account.width > 0 and bucket_at(account, now) ~= account.bucket then
    used_high, used_low = used_in_window(account, bucket_at(account, now))
  end
  if second >= account.next_end then
    for field, value in pairs_of(account) do
      local ends_at = tonumber(string.match(field, '^e(%d+)$') or '')
      if ends_at and ends_at <= second then
        local _, high, low = end_parts(value)
        held_high, held_low = minus(held_high, held_low, high, low)
      end
    end
  end
  local grants = redis.call('GET', PREFIX .. 'g:' .. ARGV[index + 1]) or ''
  found[#found + 1] = { used_high, used_low, held_high, held_low, grants }
end
return found
