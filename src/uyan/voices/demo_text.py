"""What is said in the embedded demo: the keyword, phrases that sound like it, and everyday sentences.

In English and Turkish, by hand. None of the texts but the keyword holds the keyword.
"""

import re

DEMO_KEYWORD = "hey uyan"
"""The label; "uyan" is Turkish for "wake up"."""
KEYWORD_SPELLING = "hey ooyahn"
"""What makes the English voices say it; the Turkish one reads DEMO_KEYWORD as it stands."""


def _sentences(text: str) -> list[str]:
    """Running text, cut after every full stop, question mark and exclamation mark."""
    return re.split(r"(?<=[.?!]) ", " ".join(text.split()))


CONFUSABLES = {
    "en": _sentences("""
Hey Ryan. Hey you! Ooyahn. Ooyahn! Hey Susan. Hey. I can. Hey Julian. Hey Brian? Hey Diane. Hey Ian. You can.
Hey union. Hey everyone! Hey June. You and Anne. A union. Hey Johan. They are young. Hey Lou. Say you can. Hey
Ethan. Hey user. Hey Siri. Okay Ruby. Who is Ann? Way beyond. Hey you two. Hi Joanne. Hey ooh.
"""),
    "tr": _sentences("""
Hey. Uyan. Uyan! Hey Osman. Hey Can. Uyanık. Hey dünya. Uyku. Hey sen! Uyandım. Ne zaman? Hey Hasan. Hey
ayran. Bey uyur. Hey oğlan. Hey Suzan. O yan. Bu yan. Hey duman.
"""),
}
SENTENCES = {
    "en": _sentences("""
The kettle is almost boiling. Could you close the window, please? My sister works at the library on Mondays.
There is a strange noise in the attic. I left my umbrella on the train again. We should plant tomatoes this
year. The bakery runs out of rye bread by nine. How far is it to the harbour? He painted the fence green last
summer. Nobody told me the meeting had moved. Put the blue folder on the top shelf. It has been raining since
Thursday. The dog refuses to walk past the church. She is learning to play the cello. What time does the
museum open? Our neighbour keeps three noisy geese. The printer is out of paper once more. I would rather have
soup tonight. They cycled all the way to the coast. Please turn the music down a little. The bus was late, so
we walked home. My grandfather built this table himself. Is there any milk left in the fridge? The lake
freezes in January. You can borrow my ladder whenever you like. The children are asleep upstairs. Someone
parked across our driveway. A parcel arrived for you this morning. Did you remember to feed the fish? We
watched the fireworks from the roof. The doctor said to drink more water. I cannot find my other glove. This
coat is far too warm for April. The lights went out during the storm. Let us meet by the fountain at six. He
tells the same joke every birthday. The garden smells of fresh mint. Can you hear the owl in the pine tree?
Our train leaves from platform seven. She wrote the letter in purple ink. I need a new battery for my watch.
The film was longer than I expected. They moved to the village ten years ago. The lift is being repaired until
Friday. Every drawer in this house is full of string. The market sells good cheese on Saturdays. Why is the
floor wet? We grew up beside a small railway station. I have an appointment at half past two. The wind took my
hat into the canal. He never reads the instructions. The recipe needs two more eggs. My phone fell behind the
sofa. Buy some candles on your way back. Try the other key, this one is bent. The river is high after the
rain. The soup wants a pinch of salt. Who left the gate unlocked?
"""),
    "tr": _sentences("""
Çay neredeyse hazır. Pencereyi kapatır mısın? Yarın sabah erkenden yola çıkacağız. Anahtarları masanın üstünde
unuttum. Bu akşam yemekte mercimek çorbası var. Otobüs yine on dakika gecikti. Kardeşim geçen yıl Ankara'ya
taşındı. Balkondaki çiçekleri sulamayı unutma. Pazardan iki kilo domates aldım. Toplantı saat üçte başlıyor.
Denizin rengi bugün çok güzel. Kapıyı kim açık bıraktı? Dedem eski radyoları tamir eder. Yağmur dinince
yürüyüşe çıkalım. Kütüphane pazar günleri kapalı. Bu kitabı sana ödünç verebilirim. Komşunun kedisi bahçemizde
uyuyor. Telefonumun şarjı bitmek üzere. Çocuklar okuldan dörtte dönüyor. Fırından taze ekmek kokusu geliyor.
"""),
}
"""What the corpus's speakers say."""
STREAM_SENTENCES = {
    "en": _sentences("""
The ferry crosses the bay every hour. I think the clock is five minutes slow. Her brother repairs old
bicycles. Leave your boots outside the door. The path through the forest is closed. We had pancakes for
breakfast. There are no seats left near the front. The baby laughed at the yellow balloon. Could you pass me
the screwdriver? Winter came early to the mountains. He forgot his password for the third time. The orchestra
begins with a slow waltz.
"""),
    "tr": _sentences("""
Tren bu istasyonda durmuyor. Bana bir bardak su getirir misin? Dün gece rüzgâr çok sert esti. Yeni perdeler
salona yakıştı. Annem bahçeye nane ekti. Sinemaya gitmek için geç kaldık.
"""),
}
"""What is said in the stream, and nowhere else."""
