-- Read accounts, changing nothing. KEYS: meta. Arguments from 3 on: now, and a list of names and scopes in turn.
-- Answers for each account: a text with the limbs of used and of held, and the grants of its scope.
local _, _, now, wanted = unpack(ARGUMENTS)
local second = math.floor(now / SECOND)
local answer = {}
for index = 1, #wanted, 2 do
  local account = load(wanted[index])
  local row = account.row
  local bucket = row[WIDTH] > 0 and math.floor(now / row[WIDTH])
  if bucket and bucket ~= row[BUCKET] then
    row[USED_HIGH], row[USED_LOW] = used_in_window(account, bucket)
  end
  if second >= row[NEXT_END] then
    local ends = redis.call('HGETALL', PREFIX .. 'x:' .. account.name)
    for field = 1, #ends, 2 do
      if tonumber(ends[field]) <= second then
        local _, high, low = end_parts(ends[field + 1])
        row[HELD_HIGH], row[HELD_LOW] = minus(row[HELD_HIGH], row[HELD_LOW], high, low)
      end
    end
  end
  answer[#answer + 1] = string.format('%.0f %.0f %.0f %.0f', unpack(row, 1, 4))
  answer[#answer + 1] = redis.call('GET', PREFIX .. 'g:' .. wanted[index + 1]) or ''
end
return answer
