// Verifies a webhook with Java's standard library: WEBHOOK_SECRET=whsec_.. java Verify.java HEADERS_FILE BODY_FILE

import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.*;
import java.util.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Verify {
    static final long TOLERANCE_S = 5 * 60;

    /** True if the request is genuine and recent. headers: by lower-case name; body: exactly as received. */
    static boolean verify(String secret, Map<String, String> headers, byte[] body) throws GeneralSecurityException {
        String id = headers.get("webhook-id"), sentAt = headers.getOrDefault("webhook-timestamp", "");
        if (id == null || !sentAt.matches("\\d{1,12}")) return false;
        if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(sentAt)) > TOLERANCE_S) return false;
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
        mac.update((id + "." + sentAt + ".").getBytes(StandardCharsets.UTF_8));
        byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes();
        // While a secret is rotated there are two signatures: one that matches is enough.
        for (String given : headers.getOrDefault("webhook-signature", "").split(" ")) {
            if (MessageDigest.isEqual(expected, given.getBytes())) return true;
        }
        return false;
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> headers = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(args[0]), StandardCharsets.ISO_8859_1)) {
            String[] parts = line.split(":", 2);
            if (parts.length == 2) headers.put(parts[0].toLowerCase(Locale.ROOT), parts[1].trim());
        }
        System.exit(verify(System.getenv("WEBHOOK_SECRET"), headers, Files.readAllBytes(Path.of(args[1]))) ? 0 : 1);
    }
}
