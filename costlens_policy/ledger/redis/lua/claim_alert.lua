-- Claim an alert. KEYS: clock, the alert, the pending alerts. ARGV[3]: facts.
-- Texts: its id. Numbers: now, until when others do not see it.
if call('HSETNX', KEYS[2], 'at', format('%d', NUMBERS[1])) == 0 then
  return 0
end
call('HSET', KEYS[2], 'facts', ARGV[3], 'attempts', 1, 'problem', '')
call('ZADD', KEYS[3], format('%d', NUMBERS[2]), next_text())
return 1
