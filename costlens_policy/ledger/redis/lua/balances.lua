-- Read accounts, changing nothing. KEYS: clock. Texts: for each account name and scope. Numbers: now.
-- Answers for each account: a text with the limbs of used, of held, of what is set aside and of what is left of its share (-1 for none),
-- and when its window from first use began (-1 for none); and the grants of its scope.
local now = NUMBERS[1]
local shares = sharing(now, 0)
local second = floor(now / SECOND)
local answer = {}
for name in next_text do
  local account = load(name)
  local start = -1
  if account[WIDTH] < 0 then
    start, account[USED_HIGH], account[USED_LOW] = window_at(account, now)
  end
  local bucket = account[WIDTH] > 0 and floor(now / account[WIDTH])
  if bucket and bucket ~= account[BUCKET] then
    account[USED_HIGH], account[USED_LOW] = used_in_window(account, bucket)
  end
  if second >= account[NEXT_END] then
    local ends = call('HGETALL', PREFIX .. 'x:' .. name)
    for index = 1, #ends, 2 do
      if tonumber(ends[index]) <= second then
        local _, high, low = struct.unpack('>ddd', ends[index + 1])
        account[HELD_HIGH], account[HELD_LOW] = minus(account[HELD_HIGH], account[HELD_LOW], high, low)
      end
    end
  end
  local share = shares.find(name) or { high = -1, low = 0 }
  local aside_high, aside_low = shares.set_aside(name)
  answer[#answer + 1] = format('%d\0%d\0%d\0%d\0', unpack(account, 1, 4))
    .. format('%d\0%d\0%d\0%d\0%d\0', aside_high, aside_low, share.high, share.low, start)
  answer[#answer + 1] = call('GET', PREFIX .. 'g:' .. next_text()) or ''
end
return answer
