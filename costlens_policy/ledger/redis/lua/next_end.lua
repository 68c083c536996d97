-- Read when the next hold of an account ends. KEYS: clock. Texts: its name. Numbers: the current second.
-- Answers the second, or nothing where nothing is held.
local ends, first = call('HGETALL', PREFIX .. 'x:' .. load(next_text()).name), NEVER
for index = 1, #ends, 2 do
  local second = tonumber(ends[index])
  local _, high, low = struct.unpack('>ddd', ends[index + 1])
  if second > NUMBERS[1] and second < first and (high > 0 or low > 0) then
    first = second
  end
end
return first < NEVER and first
