-- Report on a delivery. KEYS: clock, the alert, the pending alerts. ARGV[3]: what went wrong.
-- Texts: its id. Numbers: when to try again, 0 where it was delivered.
local id = next_text()
if not call('ZSCORE', KEYS[3], id) then
  return 0
elseif NUMBERS[1] == 0 then
  call('ZREM', KEYS[3], id)
else
  call('HSET', KEYS[2], 'problem', ARGV[3])
  call('ZADD', KEYS[3], format('%d', NUMBERS[1]), id)
end
return 1
