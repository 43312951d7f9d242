-- Whether a person has set an account's tier: what the upstream says then does not change it.
ALTER TABLE accounts ADD COLUMN tier_by_owner BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE accounts SET tier_by_owner = TRUE WHERE tier IS NOT NULL;
