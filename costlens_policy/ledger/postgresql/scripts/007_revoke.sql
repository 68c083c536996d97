UPDATE @ledger.entries SET kind = 'revoke' WHERE kind = 'withdraw';
